"""`sagehold accounts`: who pays, and with what. Works beside a running server or without one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from server.cli.administration import Concurrent, PerMinute, TokensPerMinute, administer, amount_of, limits_of
from server.cli.output import AsJson, print_json, print_table, shown

if TYPE_CHECKING:
    from server.accounts.administration import Administration

app = typer.Typer(help="Create and list accounts, and grant them credits.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="ID_OR_NAME", help="The account's id or name.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The account's name; there is only one of each.")],
    credits: Annotated[  # noqa: A002 - the flag's name
        str | None, typer.Option(metavar="N", help="Credits to begin with.", show_default="none")
    ] = None,
    unmetered: Annotated[bool, typer.Option("--unmetered", help="It never pays.")] = False,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent: Concurrent = None,
    as_json: AsJson = False,
) -> None:
    """Create an account. Its keys come by `sagehold keys create --account`."""
    from server.accounts.reports.rows import account_row

    limits = limits_of(requests_per_minute, tokens_per_minute, concurrent)
    amount = None if credits is None else amount_of(credits) or None
    account, balance = administer(
        lambda administration: administration.create_account(name, credits=amount, metered=not unmetered, limits=limits)
    )
    if as_json:
        print_json(account_row(account, balance))
    else:
        typer.echo(f"Created {account.id} with {shown(balance.balance)} credits.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List accounts, the oldest first."""
    rows = administer(_rows)
    if as_json:
        print_json(rows)
        return
    table = Table("id", "name", "metered", "balance", "held", "created")
    for row in rows:
        cells = (row["id"], row["name"], "yes" if row["metered"] else "no")
        table.add_row(*cells, *(shown(row[column]) for column in ("balance", "held", "created_at")))
    print_table(table, 0)


@app.command()
def show(account: Named, as_json: AsJson = False) -> None:
    """Show one account: what it has, what is held, its limits."""
    row = administer(lambda administration: _row(administration, account))
    if as_json:
        print_json(row)
        return
    facts = {**row, **row["limits"], "metered": "yes" if row["metered"] else "no"}
    del facts["limits"]
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), shown(value))
    print_table(table)


@app.command(context_settings={"ignore_unknown_options": True})  # so that -5 is a number
def grant(
    account: Named,
    credits: Annotated[str, typer.Argument(metavar="N", help="Credits to give; a negative number takes them back.")],  # noqa: A002
    note: Annotated[str, typer.Option(help="What for; kept in the ledger.")] = "",
    reference: Annotated[
        str | None, typer.Option(help="Your own name of this grant: under it, it counts only once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give an account credits."""
    amount = amount_of(credits)

    async def act(administration: "Administration") -> dict[str, Any]:
        found = await administration.accounts.find_account(account)
        await administration.ledger.grant(found.id, amount, note, reference=reference)
        return await _row(administration, found.id)

    row = administer(act)
    if as_json:
        print_json(row)
    else:
        typer.echo(f"{row['name']} ({row['id']}) has {shown(row['balance'])} credits now.")


@app.command()
def change(
    account: Named,
    metered: Annotated[
        bool | None, typer.Option("--metered/--unmetered", help="Whether it pays.", show_default="unchanged")
    ] = None,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent: Concurrent = None,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Lift the limits that are not given here.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change what is given; a running server follows within seconds."""
    from dataclasses import asdict

    given = asdict(limits_of(requests_per_minute, tokens_per_minute, concurrent))
    limits = {name: limit for name, limit in given.items() if no_limits or limit is not None}

    async def act(administration: "Administration") -> dict[str, Any]:
        changed = await administration.accounts.change_account(account, metered=metered, limits=limits)
        return await _row(administration, changed.id)

    row = administer(act)
    if as_json:
        print_json(row)
    else:
        typer.echo(f"Changed {row['name']} ({row['id']}).")


async def _rows(administration: "Administration") -> list[dict[str, Any]]:
    from server.accounts.reports.rows import account_row

    balances = await administration.ledger.balances()
    return [account_row(account, balances[account.id]) for account in await administration.accounts.list_accounts()]


async def _row(administration: "Administration", id_or_name: str) -> dict[str, Any]:
    from server.accounts.reports.rows import account_row

    account = await administration.accounts.find_account(id_or_name)
    return account_row(account, await administration.ledger.balance(account.id))
