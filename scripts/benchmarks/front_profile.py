"""Where the front end's processor time goes: cProfile over one load, by function, for each chunk or request.

The profiler makes every call dearer, by half a microsecond or more. So the calls are exact, the times show where to
look, and what a change brings is measured without it.
"""

import os
import pstats
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from scripts.benchmarks.front_cases import Case
from scripts.benchmarks.front_figures import WIDE
from scripts.benchmarks.front_rounds import Lane, LoadError, drive

SHOWN = 30
WRITTEN_WITHIN = 30.0
INSTALLED = "site-packages"

Stats = Mapping[tuple[str, int, str], tuple[int, int, float, float, object]]
"""As pstats keeps them: of each function (file, line, name) the primitive calls, calls, own and whole seconds."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a function, for each chunk or request: calls, and microseconds in it alone and with what it calls."""

    function: str
    calls: float
    own: float
    whole: float


def costs(stats: Stats, units: int, roots: Iterable[Path]) -> list[Cost]:
    """The dearest first, by their own time. roots: folders whose names are left out of the files' names."""
    known = [f"{root}/" for root in roots]
    found = [
        Cost(_name(place, known), calls / units, 1e6 * own / units, 1e6 * whole / units)
        for place, (_, calls, own, whole, _) in stats.items()
    ]
    return sorted(found, key=lambda cost: -cost.own)


def _name(place: tuple[str, int, str], roots: Iterable[str]) -> str:
    file, line, function = place
    if file == "~":
        return function
    file = file.rpartition(f"/{INSTALLED}/")[2]
    for root in roots:
        file = file.removeprefix(root)
    return f"{file}:{line} {function}"


def profile(lane: Lane, case: Case, file: Path, console: Console) -> list[Cost]:
    """Run the load on a server that was started with `--profile file`, and show what its event loop did.

    Raises LoadError.
    """
    lane.server.thaw()
    (process,) = [one for one in lane.server.tree() if one.pid == lane.server.pid]
    process.send_signal(signal.SIGUSR1)
    drive(lane, case)
    lane.server.thaw()
    process.send_signal(signal.SIGUSR2)
    until = time.monotonic() + WRITTEN_WITHIN
    while not file.exists():
        if time.monotonic() > until:
            raise LoadError("the server wrote no profile")
        time.sleep(0.05)
    stats: Stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    file.unlink()
    units = case.connections * case.answers * max(1, case.events)
    found = costs(stats, units, [lane.tree.folder, Path(os.__file__).parent])
    _show(found, lane, case, console)
    return found


def _show(found: list[Cost], lane: Lane, case: Case, console: Console) -> None:
    unit = "chunk" if case.streamed else "request"
    title = f"{lane.tree.name} ({lane.tree.revision}), auth={lane.auth}, {case}: for each {unit}, under cProfile"
    table = Table(
        Column("function", no_wrap=True), "calls", "µs of its own", "µs in all", title=title, title_justify="left"
    )
    for cost in found[:SHOWN]:
        table.add_row(cost.function, f"{cost.calls:.2f}", f"{cost.own:.2f}", f"{cost.whole:.2f}")
    total = sum(cost.own for cost in found)
    rest = total - sum(cost.own for cost in found[:SHOWN])
    table.add_row(f"{max(0, len(found) - SHOWN)} others", "", f"{rest:.2f}", "", end_section=True)
    table.add_row("together", f"{sum(cost.calls for cost in found):.2f}", f"{total:.2f}", "")
    Console(width=max(console.width, WIDE)).print(table)
