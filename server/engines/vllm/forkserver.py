"""Engine processes that inherit vLLM's imports instead of repeating them, and nothing of the front end's.

vLLM starts its core, and the core its workers, by spawn or by fork. Spawned interpreters spend most of a start
importing torch and vLLM again. What is forked from the front end has its sockets, and the pipe by which uvloop learns
of signals: a SIGTERM to the core is then a SIGTERM to the server. Here a small server process imports once, while the
front end does its own importing, and core and workers are forked from it. It has no threads and never uses CUDA. A core
that died is replaced without any import at all. See docs/decisions/001-fork-server.md; what becomes of a process
afterwards is in processes.py.
"""

import asyncio
import importlib.util
import logging
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, NoReturn

from server.engines import malloc
from server.engines.malloc import keeping
from server.engines.openmp import long_patience, patience
from server.engines.vllm import hardware, libraries, processes
from server.observability.raw_output import offered

log = logging.getLogger(__name__)

WORKER = "vllm.v1.worker.{}_worker"
TCMALLOC = "libtcmalloc"
PRELOAD = "server.engines.vllm.preload"


_to_copy = False
"""Whether the server process is to be a copy of this one, once this one has vLLM's imports."""


def plan() -> None:
    """Have the server process at the first load of a model. To be called before anything of a server is there.

    On a processor this process imports what both need, and then the other is forked from it (`copy`): half the imports,
    and most of their memory, are saved. On CUDA, of which a copy might have something, it is started here.
    """
    global _to_copy  # noqa: PLW0603 - as there is one server process
    # An allocator can be put in place of glibc's only where a process starts.
    if hardware.cuda() or TCMALLOC in _preload(os.environ.get("LD_PRELOAD")):
        start()
    else:
        _to_copy = True


def drop_plan() -> None:
    """Make no copy from now on: this process has what is not for others, such as a database."""
    global _to_copy  # noqa: PLW0603
    _to_copy = False


async def begin() -> None:
    """As `start`, or by `copy` where that is planned. To be called in the event loop, in a thread that lasts."""
    global _to_copy  # noqa: PLW0603
    if _to_copy:
        modules = *libraries.FRONT_END, *libraries.ENGINE, WORKER.format("cpu")
        try:
            with _for_libraries(long_patience()):
                await asyncio.to_thread(libraries.load, *modules)
        except Exception as error:  # noqa: BLE001 - the load meets it again, and tells of it
            log.debug("no copy: %s", error)
            _to_copy = False
    if _to_copy:  # still
        _to_copy = False
        with suppress(OSError):  # no process more, or no memory: what was tried in vain is tried once more by `start`
            copy(_for_computing)
            return
    start()


def _for_computing() -> None:
    from server.engines.vllm import on_processors

    malloc.keep()
    on_processors.prepare()


def copy(prepare: Callable[[], None]) -> None:
    """Fork the server process from this one, as it is. prepare: called there, before it serves."""
    server: Any = forkserver._forkserver
    forkserver.set_forkserver_preload([PRELOAD])  # for one that takes its place
    front_end = os.getpid()
    resource_tracker.ensure_running()  # where it starts, it lets all signals through that are blocked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        with server._lock, offered("vllm"), socket.socket(socket.AF_UNIX) as listener:
            address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
            listener.bind(address)
            Path(address).chmod(0o600)
            listener.listen()
            alive, ours = os.pipe()
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):  # there is none, or nobody reads it any more
                    stream.flush()  # each process of the copy would print again what is not written yet
            pid = os.fork()
            if pid == 0:
                _serve(front_end, listener.fileno(), alive, prepare)
            os.close(alive)
            server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, ours, pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(front_end: int, listener: int, alive: int, prepare: Callable[[], None]) -> NoReturn:
    """Be the server process, in the copy. Nothing of what was copied runs on: this never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        # SIGCHLD: where the event loop has a handler of its own, Python can't tell the loop's children to put it back.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        logging.getLogger().handlers.clear()
        logging.getLogger().setLevel(logging.WARNING)
        processes.become_server(front_end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
        processes.let_go({listener, alive, resource_tracker._resource_tracker._fd})  # type: ignore[attr-defined]
        asyncio._set_running_loop(None)
        prepare()
        forkserver.main(listener, alive, [])
    except SystemExit:
        code = 0
    except BaseException:
        log.exception("the fork server broke")
    finally:
        os._exit(code)


def start() -> None:
    """Begin the server process and its imports in the background; returns at once.

    To be called from a thread that lasts: the server process ends with it.
    """
    cuda = hardware.cuda()
    if cuda and spawns():
        return
    kind = "gpu" if cuda else "cpu"
    variables = {processes.FRONT_END: str(os.getpid()), processes.WORKER: WORKER.format(kind)}
    if cuda:
        variables |= patience()
    else:
        # For computing. vLLM's CPU platform gives the same libraries to the processes it spawns.
        variables |= long_patience() | keeping() | {"LD_PRELOAD": _preload(os.environ.get("LD_PRELOAD"))}
    resource_tracker.ensure_running()  # as in `copy`
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
def _for_libraries(variables: Mapping[str, str]) -> Iterator[None]:
    """What libraries read as they are loaded, and processes that are started meanwhile are not to have."""
    for name, value in variables.items():
        os.putenv(name, value)
    try:
        yield
    finally:
        for name in variables:
            if name in os.environ:
                os.putenv(name, os.environ[name])
            else:
                os.unsetenv(name)


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
