"""Memory of a process and its descendants, as the operating system and NVIDIA's driver count it."""

from functools import cache

import psutil
import pynvml

from server.engines.base import Footprint


def of_process(pid: int) -> Footprint:
    """Bytes held by process `pid` and all its descendants; zeros when it is gone.

    Host memory is the sum of the unique set sizes where the kernel tells them (shared library pages counted
    once a process would overstate a tree of spawned interpreters), else of resident sizes.
    """
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return Footprint()
    host = 0
    pids = set()
    for process in tree:
        pids.add(process.pid)
        try:
            host += process.memory_full_info().uss
        except psutil.AccessDenied:
            host += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return Footprint(host=host, gpu=_gpu_bytes(pids))


@cache
def _gpu_count() -> int:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    return int(pynvml.nvmlDeviceGetCount())


def _gpu_bytes(pids: set[int]) -> int:
    used = 0
    for number in range(_gpu_count()):
        device = pynvml.nvmlDeviceGetHandleByIndex(number)
        for process in pynvml.nvmlDeviceGetComputeRunningProcesses(device):
            if process.pid in pids:
                used += process.usedGpuMemory or 0
    return used
