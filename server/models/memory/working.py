"""What a chat model takes besides weights and KV cache while it computes: by its config.json, before it is loaded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.models.config.vllm_spec import VllmModel

MIB = 2**20
GIB = 2**30

UNKNOWN = GIB
"""Where config.json does not say how wide the model is."""
VISION = GIB
"""Encoder and its cache, where the model sees pictures."""
LEAST = 256 * MIB


@dataclass(frozen=True, slots=True)
class Defaults:
    """vLLM's own, where the config is silent: tokens in one step, sequences in one batch."""

    tokens: int
    sequences: int


def defaults(gpu_total: int) -> Defaults:
    """By the GPU's memory in bytes; 0: a processor (vllm/engine/arg_utils.py, get_batch_defaults).

    An A100 of 80 GiB gets the smaller ones there; here it counts as the others of its size, on the safe side.
    """
    if gpu_total >= 160 * GIB:
        return Defaults(16384, 1024)
    if gpu_total >= 70 * GIB:
        return Defaults(8192, 1024)
    return Defaults(2048, 256) if gpu_total else Defaults(2048, 128)


def activations(spec: VllmModel, config: Mapping[str, Any], *, gpu_total: int, width: int) -> int:
    """Bytes at the peak of one step, on each GPU (0: on the processor). width: bytes of a floating-point value.

    In a layer the two halves of the feed-forward part and their product stand beside a few copies of the hidden state;
    at the end each sequence's logits stand in float32, with the two copies that sampling sorts.
    """
    facts = _facts(config)
    hidden, inner, words = (facts.get(name) for name in ("hidden_size", "intermediate_size", "vocab_size"))
    extra = VISION if spec.images else 0
    if not (isinstance(hidden, int) and isinstance(inner, int) and isinstance(words, int)):
        return UNKNOWN + extra
    usual = defaults(gpu_total)
    tokens = spec.max_num_batched_tokens or usual.tokens
    sequences = spec.max_num_seqs or usual.sequences
    layer = tokens * (3 * inner // spec.tensor_parallel_size + 6 * hidden) * width
    return max(LEAST, layer + sequences * words * 4 * 3) + extra


def counts(spec: VllmModel, config: Mapping[str, Any], *, gpu_total: int) -> int:
    """Bytes on each GPU for how often each sequence has had each token, kept from the start for those that ask for
    penalties (vllm/v1/worker/gpu/sample/penalties.py): 4 bytes and a bit for each token of the vocabulary."""
    words = _facts(config).get("vocab_size")
    sequences = spec.max_num_seqs or defaults(gpu_total).sequences
    return sequences * (words * 4 + words // 8) if isinstance(words, int) else 0


def graphs(spec: VllmModel, weights: int) -> int:
    """Bytes of captured CUDA graphs on a GPU that holds `weights`; none in eager mode."""
    return 0 if spec.eager else 600 * MIB + weights // 50


def _facts(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What config.json says of the language model, where that is one part of several."""
    text = config.get("text_config")
    return text if isinstance(text, Mapping) else config


def read_config(path: Path) -> Mapping[str, Any]:
    """The folder's config.json; empty where it can't be read: loading will say so, an estimate need not."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, Mapping) else {}
