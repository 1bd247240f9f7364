"""Whether an engine's processes hang, judged by what they answer and by what the kernel says of them.

A process that died is noticed by the socket or pipe that it leaves. One that hangs leaves nothing: it may be stopped
(SIGSTOP), keep the interpreter's lock in a loop, or have threads that wait for each other. `Pulse` decides, look by
look, and does nothing else; `watch.py` looks, and ends what hangs.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

IDLE = 0.02
"""Share of one core below which processes are taken to compute nothing. A thread that answers pings takes 0.0002."""

SLOWER = 10.0
"""How much longer than the longest step so far a step may take, where that is more than `Patience.step`."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, all of them.

    silence: without an answer, or without a step while nothing is computed. step: of one step while it computes.
    stopped: that a process may be stopped. interval: between two looks; a hang is found one or two later.
    """

    silence: float = 7.0
    step: float = 300.0
    stopped: float = 5.0
    interval: float = 1.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process as the kernel shows it. seconds: of processor time. faults: pages that it read from the disk."""

    state: str
    seconds: float
    faults: int

    @property
    def stopped(self) -> bool:
        """By a signal. One that a debugger holds is in state t, and is being looked at already."""
        return self.state == "T"


@dataclass(frozen=True, slots=True)
class Sign:
    """What an engine has said until now.

    answers: how many pings it has answered, by a thread that is always free to; None where it answers none, or only
    between two steps of its work. step: a mark that changes with every step of the work that has gone longest without
    one; None while there is no work.
    """

    answers: int | None = None
    step: Hashable = None


class Pulse:
    """Four questions at each look, in this order; the first that is answered by yes says why it hangs.

        is a process stopped, for `patience.stopped`?                                  "it is stopped"
        has no ping been answered, for `patience.silence`?                             "it does not answer"
        did work take no step, and no process compute, for `patience.silence`?         "it neither goes on nor computes"
        did work take no step, for `patience.step` or SLOWER times the longest step?   "it has been at one step for …"

    The seconds are of a clock that stands still while nobody looks: where the event loop is late, or the machine was
    suspended, no look counts for more than two intervals. 20 s in which the front end itself stood still count as 2 s.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._sign = Sign()
        self._looked: float | None = None
        self._before: Mapping[int, Process] = {}
        self._stopped = self._silent = self._idle = self._step = 0.0
        self._longest = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether something is amiss: then all descendants of the processes should be looked at."""
        return max(self._silent, self._step) > 0

    def look(self, now: float, processes: Mapping[int, Process], sign: Sign) -> str | None:
        """Why the processes hang, in words for the log, or None. now: monotonic seconds. processes: by their ids."""
        patience, before = self._patience, self._before
        passed = 0.0 if self._looked is None else min(now - self._looked, 2 * patience.interval)
        self._looked, self._before = now, processes
        stopped = [pid for pid, process in processes.items() if process.stopped]
        self._stopped = self._stopped + passed if stopped else 0.0
        self._idle = 0.0 if _computed(before, processes, IDLE * passed) else self._idle + passed
        heard = sign.answers is None or sign.answers != self._sign.answers
        self._silent = 0.0 if heard else self._silent + passed
        if sign.step is not None and sign.step == self._sign.step:
            self._step += passed
        else:
            self._longest = max(self._longest, self._step)
            self._step = 0.0
        self._sign = sign
        if self._stopped >= patience.stopped:
            return f"process {stopped[0]} is stopped"
        if self._silent >= patience.silence:
            return "it does not answer"
        if min(self._step, self._idle) >= patience.silence:
            return "it neither goes on with its work nor computes"
        if self._step >= max(patience.step, SLOWER * self._longest):
            return f"it has been at one step of its work for {self._step:.0f} s"
        return None


def _computed(before: Mapping[int, Process], now: Mapping[int, Process], enough: float) -> bool:
    """Whether the processes took more than `enough` seconds of processor time in between, or waited for their pages."""
    seconds = faults = 0.0
    for pid, process in now.items():
        earlier = before.get(pid)
        seconds += process.seconds - (earlier.seconds if earlier else 0.0)
        faults += process.faults - (earlier.faults if earlier else 0)
    return seconds > enough or faults > 0
