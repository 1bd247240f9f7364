"""`sagehold keys`: create, list, change and revoke API keys. Works beside a running server or without one."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from server.cli.administration import (
    Concurrent,
    NewConcurrent,
    NewPerMinute,
    NewTokensPerMinute,
    NoLimits,
    PerMinute,
    TokensPerMinute,
    administer,
    limits_changed,
    limits_of,
)
from server.cli.output import AsJson, print_json, print_table
from server.core import Priority
from server.settings import load_settings

app = typer.Typer(help="Create, list, change and revoke API keys.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(metavar="ID_OR_PREFIX", help="The key's id, or how its text begins.")]
PriorityFlag = Annotated[
    str | None,
    typer.Option(
        "--priority",
        metavar="CLASS",
        help="background, normal or high: who goes first where requests wait for a model.",
        show_default="normal",
    ),
]
SCOPES_HELP = "Comma-separated: inference (use models), usage (read the account's usage), admin (manage everything)."
MODELS_HELP = "Comma-separated public names that the key may use."
EXPIRES_HELP = "When the key ends: a span (30m, 12h, 90d, 4w) or a date (2027-01-31)"
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for; shown in the list.")] = "",
    account: Annotated[
        str | None, typer.Option(help="Account that the key draws on, by id or name.", show_default="default")
    ] = None,
    scopes: Annotated[
        str,
        typer.Option(help=SCOPES_HELP),
    ] = "inference",
    models: Annotated[str | None, typer.Option(help=MODELS_HELP, show_default="all")] = None,
    expires: Annotated[str | None, typer.Option(help=f"{EXPIRES_HELP}.", show_default="never")] = None,
    priority: PriorityFlag = None,
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
            priority=_class(priority or "normal"),
        )
    )
    warnings = _warn_of(new.record.models)
    if as_json:
        print_json({**key_row(new.record, datetime.now(UTC)), "warnings": warnings, "key": new.key})
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
    table = Table("id", "key", "name", "account", "scopes", "priority", "state", "last used")
    for row in rows:
        used = row["last_used_at"]
        table.add_row(
            row["id"],
            f"{row['prefix']}…",
            row["name"],
            row["account"],
            " ".join(row["scopes"]),
            row["priority"],
            row["state"],
            "never" if used is None else f"{used:%Y-%m-%d %H:%M}Z",
        )
    print_table(table, 0, 1)


@app.command()
def change(
    key: Key,
    name: Annotated[str | None, typer.Option(help="What the key is for.", show_default="unchanged")] = None,
    scopes: Annotated[str | None, typer.Option(help=SCOPES_HELP, show_default="unchanged")] = None,
    models: Annotated[str | None, typer.Option(help=MODELS_HELP, show_default="unchanged")] = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="It may use every model.")] = False,
    expires: Annotated[str | None, typer.Option(help=f"{EXPIRES_HELP}, or never.", show_default="unchanged")] = None,
    priority: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="background, normal or high.", show_default="unchanged"),
    ] = None,
    requests_per_minute: NewPerMinute = None,
    tokens_per_minute: NewTokensPerMinute = None,
    concurrent: NewConcurrent = None,
    no_limits: NoLimits = False,
    as_json: AsJson = False,
) -> None:
    """Change what is given; the key's text stays, and a running server follows within seconds."""
    from server.accounts.keys.key_acts import KeyChanges
    from server.accounts.reports.rows import key_row

    changes = KeyChanges(
        limits=limits_changed(limits_of(requests_per_minute, tokens_per_minute, concurrent), no_limits)
    )
    if name is not None:
        changes["name"] = name
    if scopes is not None:
        changes["scopes"] = _split(scopes)
    if models is not None and all_models:
        raise typer.BadParameter("choose one of --models and --all-models")
    if models is not None or all_models:
        changes["models"] = None if models is None else _split(models)
    if expires is not None:
        changes["expires_at"] = None if expires == "never" else _instant(expires)
    if priority is not None:
        changes["priority"] = _class(priority)
    changed = administer(lambda administration: administration.accounts.change_key(key, **changes))
    warnings = _warn_of(changed.models if models is not None else None)
    if as_json:
        print_json({**key_row(changed, datetime.now(UTC)), "warnings": warnings})
    else:
        typer.echo(f"Changed {changed.id} ({changed.prefix}…).")


@app.command()
def revoke(key: Key, as_json: AsJson = False) -> None:
    """End a key for good. A running server refuses it within seconds."""
    from server.accounts.reports.rows import key_row

    revoked = administer(lambda administration: administration.accounts.revoke_key(key))
    if as_json:
        print_json(key_row(revoked, datetime.now(UTC)))
    else:
        typer.echo(f"Revoked {revoked.id} ({revoked.prefix}…).")


def _warn_of(models: frozenset[str] | None) -> list[str]:
    """Tell on standard error which of these names no model is served by now. They stand: models may come later."""
    if not models:
        return []
    from server.models.config.catalog import Catalog, CatalogError
    from server.models.config.public_names import unserved

    settings = load_settings()
    try:
        catalog = Catalog.load(settings.model_configs, settings.models_dir, None, only=settings.models)
        warnings = unserved(models, [public.id for public in catalog.public_models()])
    except CatalogError:
        warnings = ["the model configs are not right, so the key's models were not looked up: sagehold config check"]
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    return warnings


def _class(word: str) -> Priority:
    """Raises typer.BadParameter."""
    from server.accounts.keys.identity import PRIORITIES

    if word not in PRIORITIES:
        raise typer.BadParameter(f"{word!r} is none of {', '.join(PRIORITIES)}")
    return PRIORITIES[word]


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
    from server.jobs.responses.store import count_encrypted
    from server.settings import Settings
    from server.storage.database import Database

    def with_database(act: Callable[[Database, Settings], Awaitable[int]]) -> int:
        async def run(settings: Settings) -> int:
            database, lock = await open_database(settings, create=False)
            try:
                return await act(database, settings)
            finally:
                await database.aclose()
                lock.release()

        return told(run)

    lost = with_database(lambda database, _: count_encrypted(database))
    also = f" {lost} responses and conversations are encrypted: they can't be read any more." if lost else ""
    if not yes:
        typer.confirm(f"Every API key ends.{also} Go on?", abort=True)
    revoked = with_database(lambda database, to: renew(database, to.data_dir, datetime.now(UTC), "local"))
    typer.echo(f"Made a new secret, and revoked {revoked} keys.{also} Restart the server, and create new keys.")
