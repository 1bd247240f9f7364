"""A latent diffusion pipeline of a few thousand random weights: draws noise, but by the same code as SDXL."""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
)

SIZE = 32
"""Its own width and height in pixels: latents of 16 by 16."""

_WIDTH = 16
_NARROW: dict[str, Any] = {
    "hidden_size": _WIDTH,
    "intermediate_size": 2 * _WIDTH,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,."
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def build(
    folder: Path,
    *,
    channels: int = 3,
    scheduler: Literal["ddim", "euler"] = "ddim",
    safetensors: bool = True,
    broken: bool = False,
) -> Path:
    """Write the pipeline to `folder` and return it. channels: 4 for transparency; broken: it draws NaN only."""
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        vae=_autoencoder(channels),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(folder.parent / f"{folder.name}-vocabulary"),
        unet=_denoiser(),
        scheduler=_scheduler(scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    if broken:
        torch.nn.init.constant_(pipeline.vae.decoder.conv_out.bias, float("nan"))
    pipeline.save_pretrained(folder, safe_serialization=safetensors)
    return folder


def build_scorer(folder: Path) -> Path:
    """Write a CLIP model to `folder` and return it: its scores mean nothing, but differ."""
    torch.manual_seed(0)
    text = text_config()
    vision = {**_NARROW, "image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision, projection_dim=8)).save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    CLIPProcessor(pictures, tokenizer(folder.parent / f"{folder.name}-vocabulary")).save_pretrained(folder)
    return folder


def flow_scheduler() -> Any:
    """A rectified-flow scheduler with ten steps set, as FLUX and SD3 use it."""
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(10)
    return scheduler


def _scheduler(kind: Literal["ddim", "euler"]) -> Any:
    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    if kind == "euler":
        return EulerDiscreteScheduler(steps_offset=1, **betas)
    return DDIMScheduler(steps_offset=1, clip_sample=False, set_alpha_to_one=False, **betas)


def _denoiser() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIZE // 2,
        cross_attention_dim=_WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def _autoencoder(channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=channels,
        out_channels=channels,
        norm_num_groups=4,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )


def text_encoder() -> CLIPTextModel:
    return CLIPTextModel(text_config())


def text_config(**changes: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=2 * len(_LETTERS) + len(_SPECIAL),
        bos_token_id=2 * len(_LETTERS),
        eos_token_id=2 * len(_LETTERS) + 1,
        pad_token_id=2 * len(_LETTERS) + 1,
        **_NARROW,
        **changes,
    )


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Letter by letter: no merges at all."""
    folder.mkdir(parents=True)
    tokens = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), *_SPECIAL]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    marks = dict.fromkeys(("eos_token", "pad_token", "unk_token"), _SPECIAL[1])
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": _SPECIAL[0], **marks})
    )
    return CLIPTokenizer.from_pretrained(folder)
