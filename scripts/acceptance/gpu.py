"""What NVIDIA's driver tells by NVML: devices, what is in use, and by which processes. Nothing here needs torch."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pynvml


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU. Bytes. mig: whether it is cut into instances; None where it can't be. virtual: a share, as of vGPU."""

    number: int
    name: str
    total: int
    used: int
    capability: tuple[int, int]
    mig: bool | None
    virtual: bool


@contextmanager
def _nvml() -> Iterator[bool]:
    """Whether NVML answers, for the length of the block."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def devices() -> list[Device]:
    """Every GPU that NVML knows, in its order; none where there is no driver."""
    with _nvml() as there:
        return [_device(number) for number in range(pynvml.nvmlDeviceGetCount())] if there else []


def used() -> Mapping[int, int]:
    """Bytes in use on each device, by its number, whoever holds them."""
    return {device.number: device.used for device in devices()}


def held(pids: Collection[int]) -> Mapping[int, int] | None:
    """Bytes that these processes hold on each device; None where the driver hides processes or their bytes.

    In containers, under WSL2 and with MIG the driver may list other ids than ours, or no amounts.
    """
    found: dict[int, int] = {}
    with _nvml() as there:
        if not there:
            return None
        for number in range(pynvml.nvmlDeviceGetCount()):
            try:
                running = pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(number))
            except pynvml.NVMLError:
                return None
            ours = [process.usedGpuMemory for process in running if process.pid in pids]
            if None in ours:
                return None
            found[number] = sum(ours)
    return found if any(found.values()) else None


def driver() -> tuple[str, tuple[int, int]]:
    """The driver's version, and the newest CUDA that it runs. Raises LookupError without a driver."""
    with _nvml() as there:
        if not there:
            raise LookupError("NVML does not answer: no NVIDIA driver")
        newest = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        return str(pynvml.nvmlSystemGetDriverVersion()), (newest // 1000, newest % 1000 // 10)


def _device(number: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(number)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    mig: bool | None = None
    with suppress(pynvml.NVMLError):
        mig = pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    virtual = False
    with suppress(pynvml.NVMLError):
        virtual = pynvml.nvmlDeviceGetVirtualizationMode(handle) == pynvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU
    capability: Any = (0, 0)
    with suppress(pynvml.NVMLError):
        capability = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Device(
        number=number,
        name=str(pynvml.nvmlDeviceGetName(handle)),
        total=int(memory.total),
        used=int(memory.used),
        capability=(int(capability[0]), int(capability[1])),
        mig=mig,
        virtual=virtual,
    )
