"""What the commands about accounts print: JSON, CSV and tables."""

import sys
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")]


def print_json(data: Any) -> None:
    from server.accounts.reports.export import to_json

    typer.echo(to_json(data))


async def print_pieces(pieces: AsyncIterator[bytes]) -> None:
    """What is streamed, on standard output as it comes."""
    async for piece in pieces:
        typer.echo(piece, nl=False)


def print_table(table: Table, *copied: int) -> None:
    """copied: places of columns that are there to be copied, and must stay in one piece."""
    for place in copied:
        table.columns[place].no_wrap = True
    # A table that goes to a file or a pipe has nobody to fold its lines for. Names are text, not rich's markup.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


def shown(value: Any) -> str:
    """A value of a row, for people."""
    from server.core.money import show

    match value:
        case None:
            return ""
        case Decimal():
            return show(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}Z"
        case _:
            return str(value)
