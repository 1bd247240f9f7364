"""Models of full size without their weights, for figures on machines that can fetch none.

    python -m scripts.acceptance.dummies chat llama-8b FOLDER [--tokenizer FOLDER]
    python -m scripts.acceptance.dummies pictures sdxl FOLDER

A chat model's weight file is a hole of the right size: vLLM doesn't read it (`load_format: dummy` draws random values),
and the memory ledger reads only its header. What such models answer is noise; what they cost is real.
"""

import argparse
import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTEXT = 32768


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama's measures, in values: widths of the layers, and how many layers, heads and key-value heads there are."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head: int


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        # vLLM computes attention on processors in heads of 32 values and more.
        "tiny": Shape(128, 256, 2, 2, 1, 64),
        "llama-1b": Shape(2048, 8192, 16, 32, 8, 64),
        "llama-3b": Shape(3072, 8192, 28, 24, 8, 128),
        "llama-8b": Shape(4096, 14336, 32, 32, 8, 128),
    }
)


def fitting(memory: int) -> str:
    """The largest shape of which two servers side by side leave a GPU of `memory` bytes a KV cache worth having."""
    gib = memory / 2**30
    return "llama-8b" if gib >= 60 else "llama-3b" if gib >= 22 else "llama-1b"


def write_chat(folder: Path, shape: Shape, tokenizer: Path | None = None) -> Path:
    """Config, tokenizer and a hole for weights. tokenizer: a folder to copy it from; made of the documents if None."""
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None and (tokenizer / "tokenizer.json").is_file():
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tokenizer / name, folder)
    else:
        _write_tokenizer(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    tokens = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = len({*tokens["model"]["vocab"], *(added["content"] for added in tokens["added_tokens"])})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head,
        "vocab_size": vocabulary,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    _write_hole(folder / "model.safetensors", shape, vocabulary)
    return folder


def _tensors(shape: Shape, vocabulary: int) -> Iterator[tuple[str, list[int]]]:
    yield "model.embed_tokens.weight", [vocabulary, shape.hidden]
    for layer in range(shape.layers):
        base = f"model.layers.{layer}"
        yield f"{base}.input_layernorm.weight", [shape.hidden]
        yield f"{base}.self_attn.q_proj.weight", [shape.heads * shape.head, shape.hidden]
        yield f"{base}.self_attn.k_proj.weight", [shape.kv_heads * shape.head, shape.hidden]
        yield f"{base}.self_attn.v_proj.weight", [shape.kv_heads * shape.head, shape.hidden]
        yield f"{base}.self_attn.o_proj.weight", [shape.hidden, shape.heads * shape.head]
        yield f"{base}.post_attention_layernorm.weight", [shape.hidden]
        yield f"{base}.mlp.gate_proj.weight", [shape.inner, shape.hidden]
        yield f"{base}.mlp.up_proj.weight", [shape.inner, shape.hidden]
        yield f"{base}.mlp.down_proj.weight", [shape.hidden, shape.inner]
    yield "model.norm.weight", [shape.hidden]
    yield "lm_head.weight", [vocabulary, shape.hidden]


def _write_hole(file: Path, shape: Shape, vocabulary: int) -> None:
    """A safetensors file of bfloat16 zeros that takes no room on a disk that knows sparse files."""
    header: dict[str, Any] = {}
    end = 0
    for name, sizes in _tensors(shape, vocabulary):
        begin, end = end, end + 2 * sizes[0] * (sizes[1] if len(sizes) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": sizes, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)


def _write_tokenizer(folder: Path) -> None:
    """A byte-level BPE of a few thousand tokens, learned from the project's own documents."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=8192, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    made.train([str(file) for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]], trainer)
    made.save(str(folder / "tokenizer.json"))
    marks = {"bos_token": SPECIAL[0], "eos_token": SPECIAL[0], "pad_token": SPECIAL[0]}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a model of random weights.")
    parser.add_argument("kind", choices=["chat", "pictures"])
    parser.add_argument("shape")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    given = parser.parse_args()
    if given.kind == "chat":
        write_chat(given.folder, SHAPES[given.shape], given.tokenizer)
        return
    from scripts.acceptance.dummy_pictures import write_pictures

    write_pictures(given.folder, given.shape)


if __name__ == "__main__":
    main()
