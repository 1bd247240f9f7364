"""What the commands about accounts share: opening the database, saying in a line what is wrong, reading flags."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
import typer

from server.core import Limits
from server.errors import SageholdError
from server.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from server.accounts.administration import Administration

Result = TypeVar("Result")

PerMinute = Annotated[
    int | None, typer.Option("--requests-per-minute", min=0, help="Most requests a minute.", show_default="no limit")
]
TokensPerMinute = Annotated[
    int | None, typer.Option("--tokens-per-minute", min=0, help="Most tokens a minute.", show_default="no limit")
]
Weight = Annotated[
    int | None,
    typer.Option(
        "--weight", min=1, max=100, help="Its share where accounts wait for the same model.", show_default="1"
    ),
]
Concurrent = Annotated[
    int | None, typer.Option("--concurrent", min=0, help="Most requests at the same time.", show_default="no limit")
]


NoLimits = Annotated[bool, typer.Option("--no-limits", help="Lift the limits that are not given here.")]


def administer(act: "Callable[[Administration], Awaitable[Result]]") -> Result:
    """Do one thing with the accounts database, beside a running server or without one.

    An error becomes one line on standard error; the exit status is 1, or 2 for a wrong setting.
    """
    from server.accounts.administration import Administration
    from server.accounts.keys.secret import SecretError
    from server.storage.database import DatabaseError

    async def run() -> Result:
        async with Administration.open(load_settings()) as administration:
            return await act(administration)

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


def limits_changed(given: Limits, lift_others: bool) -> dict[str, int | None]:
    """The limits that a change names: those given, and all others too where they are to be lifted."""
    return {name: limit for name, limit in asdict(given).items() if lift_others or limit is not None}


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
