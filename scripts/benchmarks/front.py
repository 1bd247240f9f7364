"""`scripts/bench front`: what the way through this server costs by itself, over fake models that cost next to nothing.

A real `sagehold serve` is driven by a client process of bare sockets. Against another revision, both serve the same
loads in turn, in one run: what is compared shares the machine's mood.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from scripts.benchmarks.figures import Spread
from scripts.benchmarks.front_cases import CASES, QUICK, Case, chosen
from scripts.benchmarks.front_figures import CLIENT, OTHERS, WIDE, Sample, as_dicts, column, gain, summary

if TYPE_CHECKING:
    from scripts.benchmarks.front_sides import Tree

console = Console()

PROFILED = ("plain-64", "streams-64")
"""What is profiled where no load is named."""
CLIENT_BOUND = 85.0
"""Percent of a core at which the client itself may be what holds a load up."""


def front(
    against: Annotated[str | None, typer.Option(help="Revision to compare with, such as a commit or HEAD.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; 5 by default, 2 with --quick.")] = None,
    cases: Annotated[str, typer.Option(help=f"Loads, comma-separated: {', '.join(c.name for c in CASES)}.")] = "",
    auth: Annotated[str, typer.Option(help="off: without keys; keys: with a metered account. Comma-separated.")] = (
        "off,keys"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Small loads and no wait for quiet: a glance.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Don't measure: show where the time goes.")] = False,
    patience: Annotated[float, typer.Option(help="Longest wait before each load, in seconds, for quiet.")] = 30,
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/front.json"
    ),
) -> None:
    """The front end's own price: requests and chunks a second, processor time of each, gaps in paced streams."""
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.front_rounds import LoadError, measure
    from scripts.benchmarks.front_sides import known_modes, this_tree, tree_of
    from scripts.benchmarks.processes import StartError
    from scripts.benchmarks.report import keep

    with scratch() as folder:
        try:
            modes = known_modes(_words(auth))
            loads = chosen(_words(cases) or (PROFILED if profile else ()), QUICK if quick else CASES)
            trees = [this_tree(), *([tree_of(against, folder / "against")] if against else [])]
        except LookupError as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(2) from None
        facts: dict[str, Any] = {
            "sides": {tree.name: tree.revision for tree in trees},
            "cases": [asdict(case) for case in loads],
        }
        try:
            if profile:
                profiles = _profile(trees, modes, loads, folder)
                keep(output.with_stem(f"{output.stem}-profile"), "front, profile", {**facts, "profiles": profiles})
                return
            count = rounds or (2 if quick else 5)
            samples = measure(trees, modes, loads, count, folder, _tell, 0 if quick else patience)
        except (StartError, LoadError) as error:
            console.print(f"bench: {error}", markup=False)
            raise typer.Exit(1) from None
    sides = [tree.name for tree in trees]
    for mode in modes:
        _show(samples, sides, mode, loads)
    labels = {case.name: list(case.labels) for case in loads}
    keep(output, "front", {**facts, "summary": summary(samples, sides, labels), "samples": as_dicts(samples)})
    console.print(f"figures in {output}")


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip())]


def _tell(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _profile(
    trees: Sequence["Tree"], modes: Sequence[str], loads: Sequence[Case], folder: Path
) -> list[dict[str, Any]]:
    from scripts.benchmarks.front_profile import profile
    from scripts.benchmarks.front_rounds import lane

    kept: list[dict[str, Any]] = []
    for paced in sorted({case.paced for case in loads}):
        for tree in trees:
            for mode in modes:
                file = folder / f"{len(kept)}.profile"
                with ExitStack() as stack:
                    one = stack.enter_context(lane(tree, mode, folder, _tell, paced=paced, profile=file))
                    for case in loads:
                        if case.paced == paced:
                            found = [asdict(cost) for cost in profile(one, case, file, console)]
                            kept.append({"side": tree.name, "auth": mode, "case": case.name, "functions": found})
    return kept


def _show(samples: Sequence[Sample], sides: Sequence[str], auth: str, loads: Sequence[Case]) -> None:
    """A table of every load: medians and ranges, and the first side divided by the second, round by round."""
    compared = [f"{sides[0]} / {sides[1]}, by round"] if len(sides) > 1 else []
    title = "without keys" if auth == "off" else "with keys, a metered account and limits"
    table = Table(Column(no_wrap=True), *sides, *compared, title=f"front end, {title}", title_justify="left")
    for case in loads:
        table.add_row(f"[bold]{case}[/bold]")
        for figure, name in case.labels.items():
            spreads = [Spread.of(column(samples, side, auth, case.name, figure)) for side in sides]
            divided = gain(samples, sides, auth, case.name, figure)
            cells = [spread.shown(_digits(spread.median)) for spread in spreads]
            table.add_row(f"  {name}", *cells, *([divided.shown(3) if divided else ""] if compared else []))
        table.add_section()
    Console(width=max(console.width, WIDE)).print(table)
    for case in loads:
        for side in sides:
            share = Spread.of(column(samples, side, auth, case.name, CLIENT)).high
            if share > CLIENT_BOUND:
                _tell(f"{case}, {side}: the client took {share:.0f}% of a core, and may be what held it up")
    others = [one.figures[OTHERS] for one in samples if one.auth == auth]
    console.print(f"others took {Spread.of(others).shown(0)} percent of the machine")


def _digits(value: float) -> int:
    return 0 if value >= 1000 else 1 if value >= 10 else 2
