"""What a vLLM model's config may set: its fields, resolved to plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """See `VllmModel` in server/models/config/spec.py for each field's meaning.

    kv_cache: bytes, on a processor in all, on CUDA on each GPU. gpus: the GPUs that the ledger chose, empty on a
    processor. gpu_share: share of each GPU that the ledger granted, less what is taken before vLLM looks (contexts).
    gpu_memory_utilization: where the config sets it, share of each GPU, in place of kv_cache and gpu_share.
    adapters: folders of LoRA adapters by their public names.
    fim: what stands before, between and after the two texts of fill-in-the-middle; None where the model has none.
    """

    name: str
    path: Path
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    eager: bool | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    kv_cache: int = 1 << 30
    kv_cache_dtype: str | None = None
    max_num_batched_tokens: int | None = None
    gpus: tuple[int, ...] = ()
    gpu_share: float | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    cpu_offload: int = 0
    gpu_memory_utilization: float | None = None
    quantization: str | None = None
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: Path | None = None
    images: bool = False
    fim: tuple[str, str, str] | None = None
    audio: bool = False
    max_audio_seconds: float = 600.0
    adapters: Mapping[str, Path] = field(default_factory=dict)
    speculative_config: Mapping[str, Any] | None = None
    hf_overrides: Mapping[str, Any] = field(default_factory=dict)
    tokenizer_mode: str | None = None
    load_format: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
