"""Pipelines of other classes than tests/tiny_pipeline.py's, as tiny: SDXL, SD3, FLUX and PixArt."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel

from tests import tiny_pipeline
from tests.tiny_pipeline import text_config, text_encoder, tokenizer

Family = Literal["sdxl", "sd3", "flux-schnell", "flux-dev", "pixart"]

_WIDTH = 16


def build(family: Family, folder: Path) -> Path:
    """Write a pipeline of that family to `folder` and return it."""
    torch.manual_seed(0)
    _MAKERS[family](folder.parent / f"{folder.name}-vocabulary").save_pretrained(folder)
    return folder


def build_all(root: Path, *kinds: Family | Literal["sd"]) -> dict[str, Path]:
    """Each in a folder of its own; `sd` is that of tests/tiny_pipeline.py."""
    return {kind: tiny_pipeline.build(root / kind) if kind == "sd" else build(kind, root / kind) for kind in kinds}


def _sdxl(vocabulary: Path) -> StableDiffusionXLPipeline:
    """Its autoencoder halves twice, so latents alone would allow multiples of 4."""
    return StableDiffusionXLPipeline(
        vae=_autoencoder(levels=3, latents=4),
        text_encoder=text_encoder(),
        text_encoder_2=_projecting(),
        tokenizer=tokenizer(vocabulary / "1"),
        tokenizer_2=tokenizer(vocabulary / "2"),
        unet=UNet2DConditionModel(
            sample_size=8,
            cross_attention_dim=2 * _WIDTH,
            attention_head_dim=(2, 4),
            norm_num_groups=4,
            layers_per_block=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 1),
            projection_class_embeddings_input_dim=6 * 8 + _WIDTH,
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False),
    )


def _sd3(vocabulary: Path) -> StableDiffusion3Pipeline:
    """Patches of 2 latents of 2 pixels, and a table of positions for 12 patches a side: 48 pixels."""
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * _WIDTH,
            caption_projection_dim=32,
            pooled_projection_dim=2 * _WIDTH,
            out_channels=4,
            pos_embed_max_size=12,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_autoencoder(levels=2, latents=4),
        text_encoder=_projecting(),
        tokenizer=tokenizer(vocabulary / "1"),
        text_encoder_2=_projecting(),
        tokenizer_2=tokenizer(vocabulary / "2"),
        text_encoder_3=_t5(),
        tokenizer_3=tokenizer(vocabulary / "3"),
    )


def _flux(vocabulary: Path, *, guided: bool) -> FluxPipeline:
    """schnell's kind takes no guidance, dev's is distilled with it."""
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_autoencoder(levels=2, latents=4),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(vocabulary / "1"),
        text_encoder_2=_t5(),
        tokenizer_2=tokenizer(vocabulary / "2"),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=_WIDTH,
            guidance_embeds=guided,
            axes_dims_rope=(4, 4, 8),
        ),
    )


def _pixart(vocabulary: Path) -> PixArtAlphaPipeline:
    """It rounds to the sizes it was trained on by itself; its patches are of 2 latents of 8 pixels."""
    return PixArtAlphaPipeline(
        tokenizer=tokenizer(vocabulary / "1"),
        text_encoder=_t5(),
        vae=_autoencoder(levels=4, latents=4),
        transformer=PixArtTransformer2DModel(
            sample_size=32,
            patch_size=2,
            in_channels=4,
            out_channels=8,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            cross_attention_dim=_WIDTH,
            caption_channels=32,
        ),
        scheduler=DDIMScheduler(clip_sample=False),
    )


def _autoencoder(*, levels: int, latents: int) -> AutoencoderKL:
    """Halves width and height `levels` - 1 times."""
    return AutoencoderKL(
        latent_channels=latents,
        norm_num_groups=4,
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        shift_factor=0.06,
        scaling_factor=1.5,
    )


def _projecting() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(text_config(projection_dim=_WIDTH))


def _t5() -> T5EncoderModel:
    vocabulary = text_config().vocab_size
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=2 * _WIDTH,
            d_kv=8,
            d_ff=2 * _WIDTH,
            num_layers=1,
            num_heads=2,
            relative_attention_num_buckets=8,
        )
    )


_MAKERS: Mapping[Family, Callable[[Path], Any]] = {
    "sdxl": _sdxl,
    "sd3": _sd3,
    "flux-schnell": lambda vocabulary: _flux(vocabulary, guided=False),
    "flux-dev": lambda vocabulary: _flux(vocabulary, guided=True),
    "pixart": _pixart,
}
