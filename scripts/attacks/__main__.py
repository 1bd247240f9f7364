"""`scripts/attack`: what the worst day brings, against servers of its own on loopback, bounded in count and time."""

import asyncio
import importlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scripts.attacks.row import Row

ATTACKS = (
    "bad_requests",
    "doors",
    "bodies",
    "questions",
    "readers",
    "queue",
    "hangs",
    "kills",
    "stopping",
    "storage",
    "knowledge",
    "documents",
    "batches",
    "kept",
)
"""Modules of this folder: each has `rows(folder, quick=...)`."""

console = Console()


async def _attack(name: str, quick: bool) -> list[Row]:
    found: list[Row] = []
    rows = importlib.import_module(f"scripts.attacks.{name}").rows
    with TemporaryDirectory(prefix="attack-") as folder:
        async for row in _forgiving(name, rows(Path(folder), quick=quick)):
            console.print(f"[{'green' if row.held else 'red'}]{'held' if row.held else 'BROKE'}[/] {row.attack}")
            console.print(f"      {row.measured}  (wanted: {row.wanted})", markup=False, highlight=False)
            found.append(row)
    return found


async def _forgiving(name: str, rows: AsyncIterator[Row]) -> AsyncIterator[Row]:
    """The rows; an attack that breaks itself is one that the server did not hold, and the next ones go on."""
    try:
        async for row in rows:
            yield row
    except Exception as error:  # noqa: BLE001 - it is told
        yield Row(name, f"the attack broke: {type(error).__name__}: {error}"[:300], "it ends", held=False)


def _markdown(rows: list[Row]) -> str:
    lines = ["| attack | measured | wanted | held |", "|---|---|---|---|"]
    lines += [f"| {row.attack} | {row.measured} | {row.wanted} | {'yes' if row.held else 'NO'} |" for row in rows]
    return "\n".join(lines) + "\n"


def command(
    attacks: Annotated[list[str] | None, typer.Argument(help=f"Some of: {', '.join(ATTACKS)}. Default: all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small share of each: does it run at all?")] = False,
    output: Annotated[Path, typer.Option(help="Folder for the rows, as JSON and Markdown.")] = Path("data/attack"),
) -> None:
    """Attack servers of this program, and tell what held.

    Each attack starts its own server on loopback, over fake engines or the starter models, and ends it. Ends with 1 if
    something broke.
    """
    chosen = attacks or list(ATTACKS)
    for name in chosen:
        if name not in ATTACKS:
            raise typer.BadParameter(f"{name}: there is no such attack; there are {', '.join(ATTACKS)}")
    output.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for name in chosen:
        begun = time.monotonic()
        console.rule(name)
        rows += asyncio.run(_attack(name, quick))
        console.print(f"{name}: {time.monotonic() - begun:.0f} s", style="dim")
        (output / "rows.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
        (output / "rows.md").write_text(_markdown(rows))
    table = Table("attack", "held")
    for row in rows:
        table.add_row(row.attack, "yes" if row.held else "[red]NO[/]")
    console.print(table)
    console.print(f"rows in {output}")
    if not all(row.held for row in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(command)
