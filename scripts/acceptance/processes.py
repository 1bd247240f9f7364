"""The server's processes, seen from outside: what is alive, which port is taken, how long until something is so."""

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

POLL = 0.05


def until(condition: Callable[[], bool], within: float) -> float | None:
    """Seconds until it holds; None if it does not within so many."""
    begun = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - begun
        if time.monotonic() - begun > within:
            return None
        time.sleep(POLL)


def tree(pid: int) -> list[psutil.Process]:
    """The process and all below it; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(process: psutil.Process) -> bool:
    """Whether it runs: what has ended and waits to be collected does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def host_bytes(processes: list[psutil.Process]) -> int:
    """Memory of these together that is no file's: what several share, as forked ones do, counts once.

    By the kernel's proportional sizes of anonymous and shared memory (/proc/PID/smaps_rollup, proc_pid_smaps(5)), else
    by what each has for itself.
    """
    total = 0
    for process in processes:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += 1024 * sum(map(int, re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB$", rollup, re.MULTILINE)))
        except OSError:
            with suppress(psutil.Error):
                total += process.memory_info().rss - process.memory_info().shared
    return total


def named(process: psutil.Process) -> str:
    """Its command line, shortened: for people."""
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:100]}"
    except psutil.Error:
        return str(process.pid)


def port_is_free(url: str) -> bool:
    """Whether another server could listen on the address."""
    address = httpx.URL(url)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((address.host, address.port))
            taken.listen()
        except OSError:
            return False
    return True
