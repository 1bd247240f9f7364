"""Memory of processes, as the operating system and NVIDIA's driver count it. Blocking."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

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

    No file's pages are counted, and what several have in common since one was forked from the other counts once. What
    an engine still shares with the helper that it was forked from counts here, since `of_processes` leaves it out.
    """
    total = 0
    waiting = [(psutil.Process(), False)]
    while waiting:
        process, of_engine = waiting.pop()
        try:
            total += _shared(process) if of_engine else _proportional(process)
            waiting += [(child, of_engine or child.pid in engines) for child in process.children()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def _proportional(process: psutil.Process) -> int:
    """A page of n processes counts as the nth part of one; all of it where the kernel shows no shares."""
    if (sizes := _sizes(process)) is not None:
        return sizes["Pss_Anon"] + sizes["Pss_Shmem"]
    memory = process.memory_info()
    return int(max(0, memory.rss - memory.shared))


def _shared(process: psutil.Process) -> int:
    """Its part of what it has in common with others; none where the kernel shows no shares."""
    sizes = _sizes(process)
    # What forked processes have in common was written to before: all of it is dirty.
    return 0 if sizes is None else max(0, sizes["Pss_Anon"] + sizes["Pss_Shmem"] - sizes["Private_Dirty"])


def _sizes(process: psutil.Process) -> dict[str, int] | None:
    """Bytes by the kernel's names (/proc/PID/smaps_rollup, proc_pid_smaps(5)); None where it does not show them."""
    try:
        text = Path(f"{psutil.PROCFS_PATH}/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return None
    sizes = {name: 1024 * int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return sizes if sizes.keys() >= {"Pss_Anon", "Pss_Shmem", "Private_Dirty"} else None


def _trees(roots: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in roots:
        try:
            root = psutil.Process(pid)
            yield from (root, *root.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
