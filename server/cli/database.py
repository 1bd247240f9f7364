"""What the commands about accounts share: opening the database, saying in a line what is wrong, reading flags."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import typer
from rich.console import Console
from rich.table import Table

from server.core import Limits
from server.errors import SageholdError
from server.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from server.accounts.books import Books

Result = TypeVar("Result")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")]
PerMinute = Annotated[
    int | None, typer.Option("--requests-per-minute", min=0, help="Most requests a minute.", show_default="no limit")
]
TokensPerMinute = Annotated[
    int | None, typer.Option("--tokens-per-minute", min=0, help="Most tokens a minute.", show_default="no limit")
]
Concurrent = Annotated[
    int | None, typer.Option("--concurrent", min=0, help="Most requests at the same time.", show_default="no limit")
]


def with_books(act: "Callable[[Books], Awaitable[Result]]") -> Result:
    """Do one thing with the accounts database, beside a running server or without one.

    What goes wrong is told in a line on standard error; the exit status is 1, or 2 for a wrong setting.
    """
    from server.accounts.books import Books
    from server.accounts.keys.secret import SecretError
    from server.storage.database import DatabaseError

    async def run() -> Result:
        async with Books.open(load_settings()) as books:
            return await act(books)

    try:
        return anyio.run(run)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (DatabaseError, SecretError, SageholdError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def limits_of(per_minute: int | None, tokens: int | None, concurrent: int | None) -> Limits:
    return Limits(requests_per_minute=per_minute, tokens_per_minute=tokens, concurrent_requests=concurrent)


def amount_of(text: str) -> Decimal:
    """Credits as typed. Raises typer.BadParameter."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not a number") from None


def day_of(text: str) -> date:
    """Raises typer.BadParameter."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2027-01-31") from None


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
