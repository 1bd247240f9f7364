"""`sagehold keys`: create, list and revoke API keys. Works beside a running server and before its first start."""

import json
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import typer
from rich.console import Console
from rich.table import Table

from server.errors import SageholdError
from server.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from server.accounts.identity import ApiKey
    from server.accounts.service import Accounts

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

Result = TypeVar("Result")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for; shown in the list.")] = "",
    account: Annotated[
        str | None, typer.Option(help="Account that the key draws on, by id or name.", show_default="default")
    ] = None,
    scopes: Annotated[str, typer.Option(help="Comma-separated: inference, usage, admin.")] = "inference",
    models: Annotated[
        str | None, typer.Option(help="Comma-separated models that the key may use.", show_default="all")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            help="When the key ends: a span (30m, 12h, 90d, 4w) or a date (2027-01-31).", show_default="never"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key. Its text is printed once, alone on standard output, and is kept nowhere."""
    expires_at = None if expires is None else _instant(expires)
    new = _with_accounts(
        lambda accounts: accounts.create_key(
            account=account,
            name=name,
            scopes=_split(scopes),
            models=None if models is None else _split(models),
            expires_at=expires_at,
        )
    )
    if as_json:
        typer.echo(json.dumps({"id": new.record.id, "key": new.key, **_facts(new.record)}))
    else:
        typer.echo(f"Created {new.record.id}. This is the only time that the key is shown:", err=True)
        typer.echo(new.key)


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option(help="Only this account's keys, by id or name.")] = None,
    as_json: AsJson = False,
) -> None:
    """List keys, the oldest first."""
    keys = _with_accounts(lambda accounts: accounts.list_keys(account))
    if as_json:
        typer.echo(json.dumps([{"id": key.id, **_facts(key)} for key in keys]))
        return
    table = Table("id", "key", "name", "account", "scopes", "state", "last used")
    for column in table.columns[:2]:
        column.no_wrap = True  # they are there to be copied
    for key in keys:
        table.add_row(
            key.id,
            f"{key.prefix}…",
            key.name,
            key.account_id,
            " ".join(sorted(key.scopes)),
            _state(key),
            "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}Z",
        )
    # A table that goes to a file or a pipe has nobody to fold its lines for.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID_OR_PREFIX", help="The key's id, or how its text begins.")],
    as_json: AsJson = False,
) -> None:
    """End a key for good. A running server refuses it within seconds."""
    revoked = _with_accounts(lambda accounts: accounts.revoke_key(key))
    if as_json:
        typer.echo(json.dumps({"id": revoked.id, **_facts(revoked)}))
    else:
        typer.echo(f"Revoked {revoked.id} ({revoked.prefix}…).")


def _with_accounts(act: "Callable[[Accounts], Awaitable[Result]]") -> Result:
    """Do one thing with the accounts database. What goes wrong is told in a line, and the exit status is 1 or 2."""
    from server.accounts.database import DatabaseError
    from server.accounts.secret import SecretError
    from server.accounts.service import Accounts

    async def run() -> Result:
        async with await Accounts.open(load_settings()) as accounts:
            return await act(accounts)

    try:
        return anyio.run(run)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (DatabaseError, SecretError, SageholdError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _facts(key: "ApiKey") -> dict[str, Any]:
    def moment(at: datetime | None) -> str | None:
        return None if at is None else at.isoformat()

    return {
        "prefix": key.prefix,
        "name": key.name,
        "account": key.account_id,
        "scopes": sorted(key.scopes),
        "models": None if key.models is None else sorted(key.models),
        "state": _state(key),
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
        "last_used_at": moment(key.last_used_at),
    }


def _state(key: "ApiKey") -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "active" if key.usable(datetime.now(UTC)) else "expired"


def _split(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _instant(text: str) -> datetime:
    """A span from now, or a date or time in ISO 8601; UTC where no zone is given."""
    span = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if span is not None:
        return datetime.now(UTC) + int(span[1]) * UNITS[span[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a span such as 90d nor a date such as 2027-01-31") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
