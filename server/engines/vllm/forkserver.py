"""Engine processes that inherit vLLM's imports instead of repeating them, and nothing of the front end's.

vLLM starts its core, and the core its workers, by spawn or by fork. Spawned interpreters spend most of a start
importing torch and vLLM again. What is forked from the front end has its sockets, and the pipe by which uvloop learns
of signals: a SIGTERM to the core is then a SIGTERM to the server. Here a small server process imports once, while the
front end does its own importing, and core and workers are forked from it. It has no threads and never uses CUDA. A core
that died is replaced without any import at all. See docs/decisions/001-fork-server.md; what becomes of a process
afterwards is in processes.py.
"""

import importlib.util
import logging
import os
import platform
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path

from server.engines.openmp import patience
from server.engines.vllm import hardware, processes
from server.engines.vllm.malloc import keeping
from server.observability.raw_output import offered

log = logging.getLogger(__name__)

PRELOAD = "server.engines.vllm.preload"


def start() -> None:
    """Begin the server process and its imports in the background; returns at once.

    To be called from a thread that lasts: the server process ends with it.
    """
    cuda = hardware.cuda()
    if cuda and spawns():
        return
    kind = "gpu" if cuda else "cpu"
    variables = {processes.FRONT_END: str(os.getpid()), processes.WORKER: f"vllm.v1.worker.{kind}_worker"} | patience()
    if not cuda:
        # For computing. vLLM's CPU platform gives the same libraries to the processes it spawns.
        variables |= keeping() | {"LD_PRELOAD": _preload(os.environ.get("LD_PRELOAD"))}
    # Ctrl-C in a terminal comes to the new process too, until it leaves its group (preload.py): it must not tell of it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _environment(variables), offered("vllm"):
            forkserver.set_forkserver_preload([PRELOAD])
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pids() -> list[int]:
    """Process id of the server process, where there is one."""
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # nothing else tells it
    return [pid] if pid else []


def use() -> None:
    """Make vLLM start its processes here. After its platform set-up, which insists on spawn, and before its core."""
    cuda = hardware.cuda()
    served = not cuda or (not spawns() and _reaches_cuda())
    # What vLLM's own checks of its configuration look at; a core decides anew for its workers.
    os.environ[processes.METHOD] = "fork" if served else "spawn"
    outer: BaseContext = processes.ServedContext() if served else processes.SpawnedContext()
    processes.lead(lambda _method: outer)


@cache
def spawns() -> bool:
    """Whether spawn is chosen or needed on CUDA. Read once: vLLM writes the variable too, later."""
    # vLLM spawns there, since NVML does not survive a fork (vllm/utils/system_utils.py, _maybe_force_spawn).
    wsl = "microsoft" in platform.uname().release.lower()
    return wsl or os.environ.get(processes.METHOD) == "spawn"


def _reaches_cuda() -> bool:
    """Whether a process that is forked from the server can use CUDA: an import may have used it before."""
    try:
        probe = processes.ServedContext().Process(target=_count_gpus, name="CUDA probe")
        probe.start()
        probe.join()
    except (OSError, EOFError):  # the server ended in its imports
        reached = False
    else:
        reached = probe.exitcode == 0
    if not reached:
        log.warning("processes forked from the fork server can't use CUDA: spawning them, which takes longer")
    return reached


def _count_gpus() -> None:
    """In the probe: end with 1 where CUDA can't be used. No context is made."""
    import torch

    if torch.cuda._is_in_bad_fork() or (processes.cuda_build() and torch._C._cuda_getDeviceCount() < 1):
        raise SystemExit(1)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What only the server process is to be started with."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _preload(before: str | None) -> str:
    """LD_PRELOAD as vLLM's CPU platform sets it for the processes it spawns: tcmalloc and torch's own OpenMP."""
    found: list[str] = []
    for package, folder, pattern in (
        ("vllm", "libs", "libtcmalloc_minimal*.so*"),
        ("torch", "lib", "libgomp*.so*"),
        ("torch", "../torch.libs", "libgomp*.so*"),
    ):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        matches = sorted((Path(spec.origin).parent / folder).resolve().glob(pattern))
        if matches and not any(Path(name).name.startswith(pattern.split("*")[0]) for name in found):
            found.append(str(matches[0]))
    return ":".join([*found, *([before] if before else [])])
