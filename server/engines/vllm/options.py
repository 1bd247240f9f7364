"""What a vLLM model can be told; the model config's fields, resolved to plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """See `VllmModel` in server/models/spec.py for each field's meaning.

    kv_cache: bytes, on a processor only. gpu_memory_utilization: share of the device, on CUDA only.
    """

    name: str
    path: Path
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    eager: bool | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    kv_cache: int = 1 << 30
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float | None = None
    quantization: str | None = None
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: Path | None = None
    images: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
