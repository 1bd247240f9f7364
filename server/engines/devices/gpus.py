"""The GPUs that this process sees, numbered as CUDA does, and what they hold: by NVIDIA's management library (NVML)."""

import logging
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pynvml

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"


@dataclass(frozen=True, slots=True)
class Gpu:
    """number: among the GPUs that this process sees. entry: its word in CUDA_VISIBLE_DEVICES. total: bytes."""

    number: int
    entry: str
    total: int


def environment(gpus: Collection[Gpu]) -> dict[str, str]:
    """What a child process is started with so that it sees these GPUs and no other; numbered from 0 in its eyes."""
    variables = {VISIBLE: ",".join(gpu.entry for gpu in gpus)}
    if gpus:
        # NVML counts by the bus; CUDA would count the fastest first.
        variables[ORDER] = os.environ.get(ORDER, "PCI_BUS_ID")
    return variables


class Driver:
    """NVML, opened at its first use and left open. Every call blocks: keep it out of the event loop.

    What the driver hides (in containers, virtual machines, Windows' Linux, parts of a GPU) is left out of the answers:
    no method raises for it. nvml: the `pynvml` module, or what stands in for it.
    """

    def __init__(self, nvml: Any = pynvml) -> None:
        self._nvml = nvml
        self._lock = threading.Lock()
        self._found: tuple[tuple[Gpu, Any], ...] | None = None
        self._warned = False

    def gpus(self) -> tuple[Gpu, ...]:
        """Those that this process may use; none where there is no driver."""
        return tuple(gpu for gpu, _ in self._handles())

    def free(self) -> Mapping[int, int]:
        """Bytes free now on each GPU, whoever holds the others."""
        found: dict[int, int] = {}
        for gpu, handle in self._handles():
            try:
                found[gpu.number] = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).free)
            except self._nvml.NVMLError as error:
                self._warn(error)
        return found

    def held_by(self, pids: Collection[int]) -> Mapping[int, int]:
        """Bytes that these processes hold on each GPU. A GPU is missing where they hold nothing, or it is hidden."""
        found: dict[int, int] = {}
        for gpu, handle in self._handles():
            try:
                running = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            except self._nvml.NVMLError as error:
                self._warn(error)
                continue
            amounts = [process.usedGpuMemory for process in running if process.pid in pids]
            # One that is hidden makes the sum a lie.
            if amounts and None not in amounts:
                found[gpu.number] = sum(amounts)
        return found

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("the GPU's driver hides something: %s", error)

    def _handles(self) -> tuple[tuple[Gpu, Any], ...]:
        with self._lock:
            if self._found is None:
                self._found = tuple(self._look())
            return self._found

    def _look(self) -> Iterator[tuple[Gpu, Any]]:
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError:
            return
        for number, (entry, handle) in enumerate(self._visible()):
            try:
                total = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total)
            except self._nvml.NVMLError as error:
                log.warning("GPU %d is left alone: its driver does not say how much memory it has (%s)", number, error)
                continue
            yield Gpu(number, entry, total), handle

    def _visible(self) -> Iterator[tuple[str, Any]]:
        """Entry and handle of each, by CUDA's rule: what comes after the first wrong entry is not seen."""
        nvml = self._nvml
        try:
            every = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:
            self._warn(error)
            return
        wanted = os.environ.get(VISIBLE)
        if wanted is None:
            for number, handle in enumerate(every):
                yield str(number), self._part_of(handle)
            return
        for entry in (part.strip() for part in wanted.split(",")):
            if entry.isdigit() and int(entry) < len(every):
                yield entry, self._part_of(every[int(entry)])
            elif (handle := self._named(entry, every)) is not None:
                yield entry, handle
            else:
                return

    def _named(self, entry: str, every: list[Any]) -> Any:
        """The GPU of that UUID (`GPU-…`, which may be cut short), or the part of one (`MIG-…`); None without."""
        nvml = self._nvml
        try:
            if entry.startswith("MIG-"):
                return nvml.nvmlDeviceGetHandleByUUID(entry)
            found = [handle for handle in every if _text(nvml.nvmlDeviceGetUUID(handle)).startswith(entry)]
        except nvml.NVMLError as error:
            self._warn(error)
            return None
        return found[0] if entry.startswith("GPU-") and len(found) == 1 else None

    def _part_of(self, handle: Any) -> Any:
        """A GPU that is divided (MIG) is seen as its first part."""
        nvml = self._nvml
        try:
            if nvml.nvmlDeviceGetMigMode(handle)[0]:
                return nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 0)
        except nvml.NVMLError:
            pass  # most GPUs can't be divided
        return handle


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


DRIVER = Driver()
"""This machine's."""
