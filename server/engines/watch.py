"""Looks at an engine's processes once a second, and ends them where they hang. What a hang is: `pulse.py`."""

import asyncio
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from server.engines.pulse import Patience, Process, Pulse, Sign

log = logging.getLogger(__name__)

LOOK_WIDELY = 15
"""Looks after which the processes' descendants are looked for again; at once where something is amiss."""

_TICK = os.sysconf("SC_CLK_TCK")
_STATE, _FAULTS, _USER, _SYSTEM = 0, 9, 11, 12
"""Places of the fields of /proc/PID/stat after the command's name (proc_pid_stat(5), from field 3 on)."""


class Watch:
    """An engine's processes under watch, from `start` until they hang or `stop`.

    name: of the engine, for the log. roots: its processes now, without their descendants; none where there is nothing
    to watch. ping: asks for a sign; it is called before each look, in the event loop. sign: what has been said so far.
    on_hang: called when the processes have been sent their end. alone: whether the roots' descendants are another's
    to watch, such as the engines that a fork server started.
    """

    def __init__(
        self,
        name: str,
        roots: Callable[[], Iterable[int]],
        *,
        patience: Patience,
        ping: Callable[[], None] = lambda: None,
        sign: Callable[[], Sign] = Sign,
        on_hang: Callable[[], None] = lambda: None,
        alone: bool = False,
    ) -> None:
        self._name = name
        self._roots = roots
        self._patience = patience
        self._ping = ping
        self._sign = sign
        self._on_hang = on_hang
        self._alone = alone
        self._task: asyncio.Task[None] | None = None
        self.hung = False
        """Whether the processes were ended since they hung."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_looking(), name=f"watch {self._name}")

    async def stop(self) -> None:
        """Look no more. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep_looking(self) -> None:
        pulse = Pulse(self._patience)
        tree: list[int] = []
        for number in itertools.count():
            await asyncio.sleep(self._patience.interval)
            roots = list(self._roots())
            if not roots:
                continue
            self._ping()
            if pulse.doubtful or number % LOOK_WIDELY == 0 or tree[: len(roots)] != roots:
                tree = self._tree(roots)
            if (reason := pulse.look(time.monotonic(), seen(tree), self._sign())) is not None:
                break
        self.hung = True
        tree = self._tree(roots)
        pids = ", ".join(map(str, tree))
        log.error("%s hangs: %s. Killing it, with process ids %s", self._name, reason, pids)
        for pid in tree:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._on_hang()

    def _tree(self, roots: list[int]) -> list[int]:
        return roots if self._alone else [*roots, *itertools.chain.from_iterable(map(descendants, roots))]


def seen(pids: Iterable[int]) -> Mapping[int, Process]:
    """The processes that are there now; some microseconds for each."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            ticks = int(fields[_USER]) + int(fields[_SYSTEM])
            found[pid] = Process(fields[_STATE], ticks / _TICK, int(fields[_FAULTS]))
    return found


def descendants(pid: int) -> list[int]:
    """Process ids of all descendants; none where the kernel does not list them. Half a millisecond for 50 threads."""
    found = []
    with suppress(OSError):  # it has ended
        for thread in os.scandir(f"/proc/{pid}/task"):
            for child in map(int, Path(thread.path, "children").read_text().split()):
                found += [child, *descendants(child)]
    return found
