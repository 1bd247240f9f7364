"""Defaults that follow the hardware."""

from pathlib import Path
from typing import Literal

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Flags of /proc/cpuinfo that mean bfloat16 arithmetic in hardware."""


def cuda() -> bool:
    """Whether an NVIDIA driver is loaded. Cheap: torch is not imported for it."""
    return Path("/proc/driver/nvidia/version").exists()


def processor_dtype(cpuinfo: Path = Path("/proc/cpuinfo")) -> Literal["bfloat16", "float32"]:
    """The faster type on this processor.

    Without bfloat16 in hardware, vLLM's own choice (bfloat16) is emulated and has a quarter of float32's
    throughput: docs/performance.md has the figures.
    """
    try:
        text = cpuinfo.read_text()
    except OSError:
        return "float32"
    for line in text.splitlines():
        if line.startswith("flags"):
            return "bfloat16" if BF16_FLAGS & set(line.split()) else "float32"
    return "float32"
