"""What NVIDIA's driver says of this machine: by NVML, else by the driver's own library.

Run as a program by scripts/setup, before anything is installed: prints "GPUS CUDA" (2 13.0), nothing without a driver.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

LIBRARIES = ("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1")
"""The driver's library. WSL2 keeps it in a folder of its own, which not every distribution's loader knows."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that answers.

    gpus: how many NVML counts; None: NVML does not answer, but the driver's library is there.
    cuda: the newest CUDA that it can run, (13, 0).
    version: the driver's own, "580.95.05"; None where it was not asked for.
    """

    gpus: int | None
    cuda: tuple[int, int] | None = None
    version: str | None = None


def find(nvml: Any = None, load: Callable[[str], Any] = ctypes.CDLL) -> Driver | None:
    """The driver; None: there is none. Starts no CUDA: a process that did could not fork engines any more."""
    if nvml is None:
        import pynvml

        nvml = pynvml
    driver = by_nvml(nvml)
    if driver is not None and driver.cuda is not None:
        return driver
    # Some sandboxes answer in part. Without the driver's library nothing can run, whatever is counted.
    library = by_library(load, initialize=False)
    return library if library is None or driver is None else replace(driver, cuda=library.cuda)


def by_nvml(nvml: Any) -> Driver | None:
    """What NVML says; None: its library is not there or does not answer (some sandboxes)."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        gpus = int(nvml.nvmlDeviceGetCount())
        cuda = version = None
        with suppress(nvml.NVMLError):
            version = str(nvml.nvmlSystemGetDriverVersion())
            cuda = _pair(nvml.nvmlSystemGetCudaDriverVersion_v2())
        return Driver(gpus, cuda, version)
    except nvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()


def by_library(load: Callable[[str], Any], *, initialize: bool) -> Driver | None:
    """What the driver's library says. `initialize`: start CUDA in this process, which counting GPUs needs here."""
    for name in LIBRARIES:
        try:
            library = load(name)
        except OSError:
            continue
        version = ctypes.c_int(0)
        known = library.cuDriverGetVersion(ctypes.byref(version)) == 0 and version.value > 0
        gpus = ctypes.c_int(0)
        if initialize and not (library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(gpus)) == 0):
            gpus.value = 0
        return Driver(gpus.value if initialize else None, _pair(version.value) if known else None)
    return None


def _pair(version: int) -> tuple[int, int]:
    """CUDA's number for a version, 13020, as (13, 2)."""
    return version // 1000, version % 1000 // 10


def main() -> None:
    driver = by_library(ctypes.CDLL, initialize=True)
    if driver is not None:
        print(driver.gpus, *([".".join(map(str, driver.cuda))] if driver.cuda else []))


if __name__ == "__main__":
    main()
