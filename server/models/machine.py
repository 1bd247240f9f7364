"""What memory this machine has: the host's, by the control group's limit, and the first GPU's, by NVML."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells a container's limit: control groups version 2, then 1."""

HOST_SHARE = 0.85
GPU_SHARE = 0.90
"""What the models may take where the settings say nothing; the rest is for the system and the front end."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes in all. `gpu` is one device's memory, since a model that is split takes its part on each; 0 without."""

    host: int
    gpu: int = 0

    @classmethod
    def detect(cls) -> "Machine":
        """Ask the operating system and the driver."""
        return cls(host=_host_total(), gpu=_gpu_memory()[0])

    def gpu_free(self) -> int:
        """Bytes free on the GPU now, whoever holds the others."""
        return _gpu_memory()[1] if self.gpu else 0


def _host_total() -> int:
    total = int(psutil.virtual_memory().total)
    for file in CGROUP_LIMITS:
        try:
            limit = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def _gpu_memory() -> tuple[int, int]:
    """Total and free bytes of the first GPU that this process may use; zeros without one."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if wanted in ("", "-1", "none", "void"):
        return 0, 0
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0, 0
    try:
        device = (
            pynvml.nvmlDeviceGetHandleByIndex(int(wanted))
            if wanted.isdigit()
            else pynvml.nvmlDeviceGetHandleByUUID(wanted)
        )
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        return int(memory.total), int(memory.free)
    except pynvml.NVMLError:
        return 0, 0
    finally:
        pynvml.nvmlShutdown()
