"""How long OpenMP's threads spin when they wait for each other, in every process that computes on a processor.

Spinning saves the wake-up at the end of each parallel loop, of which a step of a small model has thousands. But beside
other work a thread that spins keeps the one that it waits for from its core. So they spin while they have the cores to
themselves, and give them up at once while they don't: docs/decisions/005-openmp-and-imports.md has the figures.
"""

import ctypes
import logging
import os
import re
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Any

from server.engines import contention

log = logging.getLogger(__name__)

SPINCOUNT = "1000"
"""Looks that a thread takes before it sleeps. libgomp's default are 300,000: 3 ms and more."""
LONG_SPINCOUNT = "10000"
"""Of threads that give way to others: 0.1 to 0.6 ms, by how long the processor's pause is."""
LOOK = 0.1
"""Seconds between two looks at whether others want the cores."""
WATCH = "openmp watch"
"""Name of the thread that looks."""
LIBRARY = re.compile(r"/.*/libgomp[^/\s]*\.so[.\d]*$", re.MULTILINE)
"""At the end of a line of /proc/self/maps; a folder may have spaces in its name."""


def patience() -> dict[str, str]:
    """Environment for a process that is about to be started: libgomp reads it as it is loaded. An operator's own
    choice stands."""
    return {} if _chosen() else {"GOMP_SPINCOUNT": SPINCOUNT}


def long_patience() -> dict[str, str]:
    """The same for one that will `give_way`."""
    return patience() if _chosen() or not contention.is_told() else {"GOMP_SPINCOUNT": LONG_SPINCOUNT}


def _chosen() -> bool:
    return "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ


def give_way() -> None:
    """From now on this process's OpenMP threads spin only while nobody else wants their cores. Returns at once.

    One watch does for a process, however often this is called. For one whose libgomp was loaded with `long_patience`,
    which need not be in its environment any more. With an operator's own choice nothing is done.
    """
    chosen = "OMP_WAIT_POLICY" in os.environ or os.environ.get("GOMP_SPINCOUNT", LONG_SPINCOUNT) != LONG_SPINCOUNT
    if contention.is_told() and not chosen and not any(thread.name == WATCH for thread in threading.enumerate()):
        try:
            threading.Thread(target=_watch, name=WATCH, daemon=True).start()
        except RuntimeError as error:
            log.warning("OpenMP's threads don't give way to others: %s", error)


def _watch() -> None:
    way, pause = Way(), threading.Event()
    while not pause.wait(LOOK):
        try:
            way.look(monotonic())
        except Exception:  # such as no file more: the next look may go well
            log.debug("no look at OpenMP's threads", exc_info=True)


class Way:
    """Restrains this process's OpenMP threads while others want their cores."""

    def __init__(self) -> None:
        self._waits, self._judge = contention.Waits(), contention.Judge()
        self._held: list[Restraint] = []
        self.given = False

    def look(self, now: float) -> None:
        """now: seconds, by a clock that never goes back. Time in which nothing is computed is calm."""
        contended = self._judge.contended(self._waits.look() or 0.0, now)
        if contended == self.given:
            return
        while self._held:
            self._held.pop().release()
        if contended:
            for library in libraries():
                self._held.append(Restraint(library))
        self.given = contended
        log.debug("OpenMP's threads %s now", "sleep" if contended else "spin")


def libraries() -> list[Any]:
    """Every libgomp of this process: wheels bring their own."""
    paths = set(LIBRARY.findall(Path("/proc/self/maps").read_text()))
    return [ctypes.CDLL(path, mode=os.RTLD_NOLOAD) for path in sorted(paths)]


class Restraint:
    """While it holds, threads of this libgomp that wait give their core up after a hundred looks.

    That is what libgomp does where it has more threads than the machine has cores (GCC, libgomp/config/linux/wait.h and
    `gomp_throttled_spin_count_var` in libgomp/env.c). Here a thread with a team of its own, which sleeps, makes them
    more.
    """

    def __init__(self, library: Any) -> None:
        """library: the libgomp, as ctypes has it. Returns once it holds. Raises RuntimeError if no thread can begin."""
        self._library = library
        self._holds, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, name="openmp restraint", daemon=True)
        self._thread.start()
        self._holds.wait()

    def release(self) -> None:
        """Returns as it ends: libgomp counts its threads a moment later."""
        self._over.set()
        self._thread.join()

    def _hold(self) -> None:
        try:
            library, nothing = self._library, ctypes.cast(self._library.omp_get_thread_num, ctypes.c_void_p)
            library.omp_set_dynamic(0)  # of this thread's teams: they have all that is asked for
            # Those that compute count too, so that two are enough where these have all cores.
            threads = max(2, library.omp_get_num_procs() - _computing(library) + 2)
            library.GOMP_parallel(nothing, None, ctypes.c_uint(threads), ctypes.c_uint(0))
        finally:
            self._holds.set()
        self._over.wait()
        # As this thread ends, libgomp ends its team (`gomp_free_thread` in libgomp/team.c).


def _computing(library: Any) -> int:
    """Threads of a team that computes."""
    torch = sys.modules.get("torch")
    return int(library.omp_get_max_threads() if torch is None else torch.get_num_threads())
