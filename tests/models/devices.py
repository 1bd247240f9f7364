"""Stand-ins for GPUs and their driver."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from server.engines.devices.gpus import Driver, Gpu
from server.models.memory.machine import Machine


@dataclass
class Device:
    """One GPU as NVML shows it. held: bytes by process id; None for an amount that is hidden."""

    total: int
    uuid: str = "GPU-0"
    held: dict[int, int | None] = field(default_factory=dict)
    used: int = 0
    parts: list["Device"] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


@dataclass
class _Memory:
    total: int
    free: int


@dataclass
class _Process:
    pid: int
    usedGpuMemory: int | None  # noqa: N815 - NVML's name


class Nvml:
    """Stands in for the module `pynvml`. missing: there is no driver."""

    class NVMLError(Exception):
        pass

    def __init__(self, *devices: Device, missing: bool = False) -> None:
        self.devices = devices
        self.missing = missing

    def _check(self, device: Device, call: str) -> None:
        if call in device.broken:
            raise self.NVMLError("Not Supported")

    def nvmlInit(self) -> None:
        if self.missing:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> Device:
        return self.devices[number]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Device:
        for device in (*self.devices, *(part for whole in self.devices for part in whole.parts)):
            if device.uuid == uuid:
                return device
        raise self.NVMLError("Not Found")

    def nvmlDeviceGetUUID(self, device: Device) -> str:
        return device.uuid

    def nvmlDeviceGetMigMode(self, device: Device) -> tuple[int, int]:
        if not device.parts:
            raise self.NVMLError("Not Supported")
        return 1, 1

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Device, number: int) -> Device:
        return device.parts[number]

    def nvmlDeviceGetMemoryInfo(self, device: Device) -> _Memory:
        self._check(device, "memory")
        return _Memory(device.total, device.total - device.used)

    def nvmlDeviceGetComputeRunningProcesses(self, device: Device) -> list[_Process]:
        self._check(device, "processes")
        return [_Process(pid, held) for pid, held in device.held.items()]


class Free(Driver):
    """A driver that tells what is free, and hides what each process holds."""

    def __init__(self, totals: Iterable[int]) -> None:
        super().__init__(Nvml(missing=True))
        self.left = dict(enumerate(totals))

    def free(self) -> Mapping[int, int]:
        return dict(self.left)

    def held_by(self, pids: Collection[int]) -> Mapping[int, int]:
        return {}


def machine(host: int, *totals: int, driver: Driver | None = None) -> Machine:
    """A machine whose GPUs have so many bytes each."""
    return Machine(host, tuple(Gpu(number, str(number), total) for number, total in enumerate(totals)), driver)
