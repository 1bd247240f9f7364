"""A Stable Diffusion XL of random weights: noise for pictures, at the real one's cost in time and memory."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

MEASURES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # stabilityai/stable-diffusion-xl-base-1.0, its config files: 2.57, 0.12, 0.69 and 0.08 billion weights.
        "sdxl": {
            "size": 1024,
            "vocabulary": 49408,
            "text": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
            "text_2": {
                "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
                "projection_dim": 1280,
            },
            "channels": (320, 640, 1280),
            "heads": (5, 10, 20),
            "transformers": (1, 2, 10),
            "layers": 2,
            "groups": 32,
            "autoencoder": (128, 256, 512, 512),
        },
        "tiny": {
            "size": 64,
            "vocabulary": 514,
            "text": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
            "text_2": {
                "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                "projection_dim": 16,
            },
            "channels": (8, 8, 16),
            "heads": (2, 2, 2),
            "transformers": (1, 1, 1),
            "layers": 1,
            "groups": 4,
            "autoencoder": (8, 8),
        },
    }
)  # fmt: skip


def write_pictures(folder: Path, shape: str) -> Path:
    """Draw the weights on the GPU if there is one, in bfloat16: float16 would overflow where nothing was learned."""
    measures = MEASURES[shape]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            pipeline = _pipeline(measures)
    finally:
        torch.set_default_dtype(before)
    pipeline.save_pretrained(folder)
    return folder


def _pipeline(measures: Mapping[str, Any]) -> Any:
    tokens = _vocabulary()
    tokenizer = _tokenizer(tokens)
    marks = {
        "vocab_size": measures["vocabulary"],
        "bos_token_id": tokens["<|startoftext|>"],
        "eos_token_id": tokens["<|endoftext|>"],
        "pad_token_id": tokens["<|endoftext|>"],
    }
    context = measures["text"]["hidden_size"] + measures["text_2"]["hidden_size"]
    pooled = measures["text_2"]["projection_dim"]
    blocks = len(measures["autoencoder"])
    return StableDiffusionXLPipeline(
        vae=AutoencoderKL(
            block_out_channels=measures["autoencoder"],
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            layers_per_block=measures["layers"],
            norm_num_groups=measures["groups"],
            latent_channels=4,
            sample_size=measures["size"],
            scaling_factor=0.13025,
            force_upcast=False,
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(**marks, **measures["text"])),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**marks, **measures["text_2"])),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=measures["size"] // 2 ** (blocks - 1),
            block_out_channels=measures["channels"],
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=measures["transformers"],
            attention_head_dim=measures["heads"],
            layers_per_block=measures["layers"],
            norm_num_groups=measures["groups"],
            cross_attention_dim=context,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256 if context > 1000 else 8,
            projection_class_embeddings_input_dim=pooled + 6 * (256 if context > 1000 else 8),
        ),
        scheduler=EulerDiscreteScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
        ),
        add_watermarker=False,
    )


def _vocabulary() -> Mapping[str, int]:
    """CLIP's bytes, each within a word and at its end, without merges."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(code) for code in shown] + [chr(256 + n) for n in range(256 - len(shown))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


def _tokenizer(tokens: Mapping[str, int]) -> CLIPTokenizer:
    end = "<|endoftext|>"
    marks = {"bos_token": "<|startoftext|>", "eos_token": end, "pad_token": end, "unk_token": end}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(tokens))
        (folder / "merges.txt").write_text("#version: 0.2\n")
        config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **marks}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return CLIPTokenizer.from_pretrained(folder)
