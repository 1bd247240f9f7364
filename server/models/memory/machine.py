"""What memory this machine has: the host's, by the control group's limit, and each GPU's, by its driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from server.engines.devices.gpus import DRIVER, Driver, Gpu

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux keeps a container's limit: control groups version 2, then 1."""

HOST_SHARE = 0.85
GPU_SHARE = 0.90
"""What the server may take where the settings say nothing, of the host and of each GPU; the rest is the system's."""


@dataclass(frozen=True, slots=True)
class Machine:
    """host: bytes in all. gpus: those that this process sees. driver: knows what they hold; None: nobody does."""

    host: int
    gpus: tuple[Gpu, ...] = ()
    driver: Driver | None = field(default=None, compare=False)

    @classmethod
    def detect(cls, driver: Driver = DRIVER) -> "Machine":
        """Ask the operating system and the driver. Blocking."""
        return cls(_host_total(), driver.gpus(), driver)

    def gpus_free(self) -> Mapping[int, int]:
        """Bytes free now on each GPU, whoever holds the others, where the driver says so. Blocking."""
        return self.driver.free() if self.driver is not None and self.gpus else {}


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
