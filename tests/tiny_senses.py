"""Chat models with random weights that see or hear, small enough to load in seconds: Idefics3 and Qwen2-Audio.

Their tokenizer is the starter chat model's with a few tokens more. Neither's processor needs a package that the
processor's lock leaves out.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
    Qwen2AudioConfig,
    Qwen2AudioEncoderConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    WhisperFeatureExtractor,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

IMAGE_TOKENS = 4
"""That stand for one picture."""

TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' %}{{ part['text'] }}{% else %}PLACE{% endif -%}
{%- endfor -%}
{%- endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}
"""

TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}


def build_seeing(folder: Path, chat: Path) -> Path:
    """A model that sees. chat: the folder of the starter chat model."""
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(
            size={"longest_edge": 28}, max_image_size={"longest_edge": 28}, do_image_splitting=False
        ),
        tokenizer=AutoTokenizer.from_pretrained(chat),
        image_seq_len=IMAGE_TOKENS,
        chat_template=TEMPLATE.replace("PLACE", "<image>"),
    )
    processor.save_pretrained(folder)
    tokenizer = processor.tokenizer
    config = Idefics3Config(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
        },
        text_config=LlamaConfig(vocab_size=len(tokenizer), **TEXT),
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=2,
        architectures=["Idefics3ForConditionalGeneration"],
    )
    return _saved(Idefics3ForConditionalGeneration, config, folder)


def build_hearing(folder: Path, chat: Path) -> Path:
    """A model that hears, at 25 tokens a second. chat: as above."""
    tokenizer = AutoTokenizer.from_pretrained(chat)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]})
    processor = Qwen2AudioProcessor(
        feature_extractor=WhisperFeatureExtractor(feature_size=16),
        tokenizer=tokenizer,
        chat_template=TEMPLATE.replace("PLACE", "<|audio_bos|><|AUDIO|><|audio_eos|>"),
    )
    processor.save_pretrained(folder)
    config = Qwen2AudioConfig(
        audio_config=Qwen2AudioEncoderConfig(
            num_mel_bins=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32, d_model=32
        ),
        text_config=Qwen2Config(vocab_size=len(tokenizer), **TEXT),
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
        architectures=["Qwen2AudioForConditionalGeneration"],
    )
    return _saved(Qwen2AudioForConditionalGeneration, config, folder)


def _saved(kind: Any, config: Any, folder: Path) -> Path:
    """With weights so large that what a model sees or hears changes what it says."""
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.3)
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    # transformers 5.19 writes Qwen2-Audio's text part as language_model.model.model, which no published model has.
    named = {name.replace("model.model.model.", "model.model."): weight for name, weight in load_file(file).items()}
    save_file(named, file, metadata={"format": "pt"})
    return folder
