"""vLLM's processes as this server has them: each ends with the one that started it, and has nothing of another's.

    front end ─ fork server ─ core ─ workers        one core for each data parallel rank, and its coordinator beside it
    front end ─ core ─ workers                      where the fork server can't be used: all of them spawned

vLLM asks its `get_mp_context` how to start processes, in the front end and in the core; `lead` answers in its place.
"""

import logging
import os
import signal
import stat
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from contextvars import ContextVar
from multiprocessing import context, process
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from server.engines.parent import die_with_parent, name
from server.observability import logs, raw_output

METHOD = "VLLM_WORKER_MULTIPROC_METHOD"
"""vLLM's own variable: `fork` or `spawn`."""
FRONT_END = "_SAGEHOLD_FRONT_END"
"""Process id of the fork server's parent, in its environment."""
WORKER = "_SAGEHOLD_WORKER"
"""Module of the workers' class, in the fork server's environment."""

NAME = "vllm-forkserver"
"""The fork server's, for whoever looks at the system's processes."""


class ForkServer:
    """This process, where it is the fork server: its children inherit its process id from here."""

    pid = 0


def become_server(front_end: int) -> None:
    """In the fork server, first of all. front_end: process id of the one that started it."""
    # A front end that is killed leaves nothing behind, not even in the seconds of the imports.
    die_with_parent(front_end)
    name(NAME)  # a copy has the front end's command line
    # Ctrl-C in a terminal is for the front end, which lets answers end and then ends its engines in order.
    os.setsid()
    # One that came before is dropped (see forkserver.py): it was meant for the front end, which has had it too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ForkServer.pid = os.getpid()
    raw_output.take()
    logs.configure_child(None)
    if os.environ.get("VLLM_LOGGING_LEVEL") == "ERROR":  # vLLM heeds it later than its first warnings come
        logging.getLogger("vllm").setLevel(logging.ERROR)


def let_go(kept: Collection[int]) -> None:
    """Give up every file that came along from another process by a fork, but for the standard ones and `kept`.

    Their numbers stay taken: an object that was copied along may close one at any time.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != nothing and number not in kept:
            with suppress(OSError):  # the listing's own is closed by now
                os.fstat(number)
                os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


class Started:
    """The processes that the front end started for one load.

    vLLM waits for them for ever, unless they end: to give up a load is to end them.
    """

    def __init__(self) -> None:
        self._processes: list[process.BaseProcess] = []
        self._ended = False
        self._lock = threading.Lock()

    def add(self, child: process.BaseProcess, start: Callable[[], None]) -> None:
        with self._lock:
            if self._ended:
                raise RuntimeError("the load was given up")
            start()
            self._processes.append(child)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in list(self._processes) if child.pid]

    def end(self) -> None:
        """Kill them, and let no further one start. Blocking: one that is just being started is waited for."""
        with self._lock:
            self._ended = True
            for child in self._processes:
                with suppress(ValueError):  # closed by vLLM already
                    child.kill()


LOAD: ContextVar[Started | None] = ContextVar("load", default=None)
"""Where a load notes its processes; the thread of `asyncio.to_thread` has its caller's."""


class _Child(process.BaseProcess):
    """A process with its parent's environment at its start."""

    _environment: dict[str, str]

    def start(self) -> None:
        # vLLM sets environment variables for its children, some of them just before their start.
        self._environment = dict(os.environ)
        load = LOAD.get()
        if load is None:
            super().start()
        else:
            load.add(self, super().start)

    def run(self) -> None:
        die_with_parent(self._starter())
        os.environ.clear()
        os.environ.update(self._environment)
        self._separate()
        lead(lambda method: _WITHIN[method])
        super().run()

    def _starter(self) -> int:
        """Process id of the one that started this one."""
        parent = process.parent_process()
        assert parent is not None
        assert parent.pid is not None
        return parent.pid

    def _separate(self) -> None:
        """Give up what came along from the parent."""


class _Served(_Child, context.ForkServerProcess):
    """Forked from the fork server, which holds nothing.

    The front end learns of this process's end from the server process, and takes the one's end for the other's. A core
    whose server process was killed would be replaced, and live on with all its memory, if it didn't end as well.
    """

    def _starter(self) -> int:
        return ForkServer.pid

    def _separate(self) -> None:
        # The core forks its workers straight from itself: the imports are there already.
        os.environ[METHOD] = "fork"
        if (threads := os.environ.get("OMP_NUM_THREADS")) and threads.isdecimal() and cuda_build():
            # OpenMP read its environment when the fork server began (vllm/v1/engine/utils.py,
            # _configure_uniproc_startup_threads, says what it sets this for).
            import torch

            torch.set_num_threads(int(threads))


class _Forked(_Child, context.ForkProcess):
    """A worker, forked from the core."""

    def _separate(self) -> None:
        """Let go of the core's sockets, those to the front end among them; what is for a worker comes by pipes.

        Their numbers stay taken: an object that was copied along may close one at any time.
        """
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            with suppress(OSError):  # the listing's own is closed by now
                if number > 2 and stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.dup2(nothing, number, inheritable=False)
        os.close(nothing)


class _Spawned(_Child, context.SpawnProcess):
    """An interpreter of its own, which inherits nothing.

    What it is to run is imported as its state is unpickled, which takes ten seconds with vLLM. Its bond with its parent
    comes before: pickle makes an object first, and gives it its state then.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _bound, (os.getpid(),), vars(self)


def _bound(parent: int) -> _Spawned:
    """In the new interpreter."""
    die_with_parent(parent)
    return _Spawned.__new__(_Spawned)


class ServedContext(context.ForkServerContext):
    Process = _Served


class ForkedContext(context.ForkContext):
    Process = _Forked


class SpawnedContext(context.SpawnContext):
    Process = _Spawned


_WITHIN: dict[str | None, context.BaseContext] = {"fork": ForkedContext(), "spawn": SpawnedContext()}
"""What a core uses: vLLM says spawn there itself where the core has used CUDA before its workers start."""


def lead(context_for: Callable[[str | None], Any]) -> None:
    """Make vLLM start its processes by `context_for(method)`, in this process."""
    from vllm.utils import system_utils

    system_utils.multiprocessing = SimpleNamespace(get_context=context_for)


def cuda_build() -> bool:
    """Whether torch is built for CUDA."""
    import torch

    return bool(torch.backends.cuda.is_built())
