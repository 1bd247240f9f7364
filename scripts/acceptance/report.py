"""The results for people: a table, and the measured part of docs/gpu.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.acceptance.check import Check, Outcome, Status

BEGIN = "<!-- measured: scripts/gpu_acceptance --markdown writes what is between these lines -->"
END = "<!-- end of what is measured -->"
COLOURS = {Status.PASSED: "green", Status.FAILED: "red", Status.SKIPPED: "dim", Status.NOT_RUN: "yellow"}


def line(outcome: Outcome, console: Console) -> None:
    """One check's outcome, as soon as it is known."""
    colour = COLOURS[outcome.status]
    console.print(
        f"[{colour}]{outcome.status}[/] {outcome.name}, {outcome.seconds:.1f} s", highlight=False, soft_wrap=True
    )
    if outcome.reason:
        console.print(f"    {outcome.reason}", markup=False, highlight=False, soft_wrap=True)


def table(outcomes: Sequence[Outcome], checks: Sequence[Check], console: Console) -> None:
    """Every figure beside what is expected of it; at the end what failed, as logs are often cut."""
    titles = {check.name: check.title for check in checks}
    shown = Table("check", "figure", "measured", "expected", "", title_justify="left")
    for outcome in outcomes:
        shown.add_section()
        colour = COLOURS[outcome.status]
        title = titles.get(outcome.name, "")
        shown.add_row(outcome.name, title, f"{outcome.seconds:.1f} s", "", f"[{colour}]{outcome.status}[/]")
        for figure in outcome.figures:
            shown.add_row("", figure.name, figure.shown, figure.bounds, "[red]missed[/]" if figure.missed else "")
        for text in [*([outcome.reason] if outcome.reason and not outcome.figures else []), *outcome.notes]:
            shown.add_row("", text, "", "", "")
    console.print(shown)
    counts = [f"{sum(one.status is status for one in outcomes)} {status}" for status in Status]
    console.print(", ".join(counts), highlight=False)
    for outcome in outcomes:
        if outcome.status in (Status.FAILED, Status.NOT_RUN):
            line(outcome, console)


def markdown(outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> str:
    """A heading for the machine, and a table of every figure."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = ", ".join(machine["gpus"]) or f"{machine['processor']}, no GPU"
    host = f"{machine['cores']} cores, {machine['memory_gib']} GiB of host memory"
    lines = [
        f"### {where}",
        "",
        f"{machine['date']}; Python {machine['python']}, {versions}; {host}.",
        "",
        "| check | figure | measured | expected | |",
        "|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        reason = outcome.reason if outcome.status is not Status.FAILED or not outcome.figures else ""
        lines.append(f"| **{outcome.name}** | {_cell(reason)} | {outcome.seconds:.0f} s | | {outcome.status} |")
        for figure in outcome.figures:
            missed = "missed" if figure.missed else ""
            lines.append(f"| | {_cell(figure.name)} | {_cell(figure.shown)} | {_cell(figure.bounds)} | {missed} |")
        lines += [f"| | {_cell(note)} | | | |" for note in outcome.notes]
    return "\n".join(lines)


def refreshed(document: str, measured: str) -> str:
    """The document with `measured` between the marks, in place of what was there. Raises ValueError without marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the document lacks the lines between which the figures belong")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
