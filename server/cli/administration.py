"""What the commands about accounts share: opening the database, saying in a line what is wrong, reading flags."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import typer

from server.cli.fail import fail
from server.core import Limits
from server.errors import DatabaseUnavailable, SageholdError, Unavailable
from server.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from server.accounts.administration import Administration

Result = TypeVar("Result")

UNCHANGED = "unchanged"


def _per_minute(default: str) -> Any:
    return typer.Option("--requests-per-minute", min=0, help="Most requests a minute.", show_default=default)


def _tokens_per_minute(default: str) -> Any:
    return typer.Option("--tokens-per-minute", min=0, help="Most tokens a minute.", show_default=default)


def _concurrent(default: str) -> Any:
    return typer.Option("--concurrent", min=0, help="Most requests at the same time.", show_default=default)


def _weight(default: str) -> Any:
    what = "Its share where accounts wait for the same model."
    return typer.Option("--weight", min=1, max=100, help=what, show_default=default)


# Of what is made, and of what is changed: where a flag is left out, they mean different things.
PerMinute = Annotated[int | None, _per_minute("no limit")]
NewPerMinute = Annotated[int | None, _per_minute(UNCHANGED)]
TokensPerMinute = Annotated[int | None, _tokens_per_minute("no limit")]
NewTokensPerMinute = Annotated[int | None, _tokens_per_minute(UNCHANGED)]
Concurrent = Annotated[int | None, _concurrent("no limit")]
NewConcurrent = Annotated[int | None, _concurrent(UNCHANGED)]
Weight = Annotated[int | None, _weight("1")]
NewWeight = Annotated[int | None, _weight(UNCHANGED)]
NoLimits = Annotated[bool, typer.Option("--no-limits", help="Lift the limits that are not given here.")]


def administer(act: "Callable[[Administration], Awaitable[Result]]") -> Result:
    """Do one thing with the accounts database, beside a running server or without one; nothing is made where none is.

    An error becomes one line on standard error. The exit status is 1 for a wrong request, and 2 for a wrong setting or
    a database, secret or disk that can't be used.
    """
    from server.accounts.administration import Administration

    async def run(settings: Settings) -> Result:
        async with Administration.open(settings, create=False) as administration:
            return await act(administration)

    return told(run)


def told(run: "Callable[[Settings], Awaitable[Result]]") -> Result:
    """What `run` returns; or the end of the command, in one line."""
    from server.accounts.keys.secret import SecretError
    from server.models.config.files import CatalogError
    from server.storage.opening import DRIVER_ERRORS, DatabaseError, explained

    try:
        settings = load_settings()
    except SettingsError as error:
        fail(error)
    try:
        return anyio.run(run, settings)
    except (DatabaseError, SecretError, SettingsError, CatalogError) as error:
        fail(error)
    except (DatabaseUnavailable, *DRIVER_ERRORS) as error:
        fail(explained(error, settings.database))
    except Unavailable as error:  # no embedding model, a full disk, a PostgreSQL without pgvector
        fail(error)
    except SageholdError as error:
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
