"""Memory of processes, as the operating system and NVIDIA's driver count it. Blocking."""

from collections.abc import Collection, Iterable, Iterator

import psutil

from server.engines.base import Footprint
from server.engines.devices.gpus import DRIVER, Driver


def of_processes(roots: Iterable[int], driver: Driver = DRIVER) -> Footprint:
    """Bytes held by these processes and all their descendants; zeros for those that are gone.

    Host memory is the sum of the unique set sizes, or of the resident sizes where the kernel shows no others. (Resident
    sizes overstate a tree of spawned interpreters: pages of shared libraries count once for each process.)
    """
    host = 0
    pids = set()
    for process in _trees(roots):
        pids.add(process.pid)
        try:
            host += _unique(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return Footprint(host, driver.held_by(pids) if pids else {})


def _unique(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def of_front_end(engines: Collection[int]) -> int:
    """Bytes of host memory of this process and its helpers (vLLM's fork server); `engines` are pids left out.

    Each process counts with what it has not in common with a file. What an engine forked from a helper still shares
    with it counts here and not there, where only the unique set counts.
    """
    total = 0
    waiting = [psutil.Process()]
    while waiting:
        process = waiting.pop()
        try:
            memory = process.memory_info()
            total += max(0, memory.rss - memory.shared)
            waiting += [child for child in process.children() if child.pid not in engines]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def _trees(roots: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in roots:
        try:
            root = psutil.Process(pid)
            yield from (root, *root.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
