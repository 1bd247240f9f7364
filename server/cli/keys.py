"""`sagehold keys`: create, list and revoke API keys. Works beside a running server or without one."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from server.cli.administration import Concurrent, PerMinute, TokensPerMinute, administer, limits_of
from server.cli.output import AsJson, print_json, print_table

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for; shown in the list.")] = "",
    account: Annotated[
        str | None, typer.Option(help="Account that the key draws on, by id or name.", show_default="default")
    ] = None,
    scopes: Annotated[
        str,
        typer.Option(
            help="Comma-separated: inference (use models), usage (read the account's usage), admin (manage everything)."
        ),
    ] = "inference",
    models: Annotated[
        str | None, typer.Option(help="Comma-separated models that the key may use.", show_default="all")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            help="When the key ends: a span (30m, 12h, 90d, 4w) or a date (2027-01-31).", show_default="never"
        ),
    ] = None,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent: Concurrent = None,
    as_json: AsJson = False,
) -> None:
    """Create a key. Its text is printed once, alone on standard output, and is kept nowhere."""
    expires_at = None if expires is None else _instant(expires)
    from server.accounts.reports.rows import key_row

    new = administer(
        lambda administration: administration.accounts.create_key(
            account=account,
            name=name,
            scopes=_split(scopes),
            models=None if models is None else _split(models),
            expires_at=expires_at,
            limits=limits_of(requests_per_minute, tokens_per_minute, concurrent),
        )
    )
    if as_json:
        print_json({**key_row(new.record, datetime.now(UTC)), "key": new.key})
    else:
        typer.echo(f"Created {new.record.id}. This is the only time that the key is shown:", err=True)
        typer.echo(new.key)


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option(help="Only this account's keys, by id or name.")] = None,
    as_json: AsJson = False,
) -> None:
    """List keys, the oldest first."""
    from server.accounts.reports.rows import key_row

    now = datetime.now(UTC)
    rows = [key_row(key, now) for key in administer(lambda administration: administration.accounts.list_keys(account))]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "key", "name", "account", "scopes", "state", "last used")
    for row in rows:
        used = row["last_used_at"]
        table.add_row(
            row["id"],
            f"{row['prefix']}…",
            row["name"],
            row["account"],
            " ".join(row["scopes"]),
            row["state"],
            "never" if used is None else f"{used:%Y-%m-%d %H:%M}Z",
        )
    print_table(table, 0, 1)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID_OR_PREFIX", help="The key's id, or how its text begins.")],
    as_json: AsJson = False,
) -> None:
    """End a key for good. A running server refuses it within seconds."""
    from server.accounts.reports.rows import key_row

    revoked = administer(lambda administration: administration.accounts.revoke_key(key))
    if as_json:
        print_json(key_row(revoked, datetime.now(UTC)))
    else:
        typer.echo(f"Revoked {revoked.id} ({revoked.prefix}…).")


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


@app.command("renew-secret")
def renew_secret(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Make a new keys.secret where the old one is lost for good. Every key is revoked; accounts and credits stay."""
    from server.accounts.keys.installation import renew_secret as renew
    from server.accounts.keys.service import open_database
    from server.cli.administration import told
    from server.settings import Settings

    if not yes:
        typer.confirm("Every API key ends. Go on?", abort=True)

    async def act(settings: Settings) -> int:
        database, lock = await open_database(settings, create=False)
        try:
            return await renew(database, settings.data_dir, datetime.now(UTC), "local")
        finally:
            await database.aclose()
            lock.release()

    typer.echo(f"Made a new secret, and revoked {told(act)} keys. Restart the server, and create new keys.")
