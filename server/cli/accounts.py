"""`sagehold accounts`: who pays, and with what. Works beside a running server or without one."""

from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer
from rich.table import Table

from server.cli.administration import (
    Concurrent,
    NewConcurrent,
    NewPerMinute,
    NewTokensPerMinute,
    NewWeight,
    NoLimits,
    PerMinute,
    TokensPerMinute,
    Weight,
    administer,
    amount_of,
    limits_changed,
    limits_of,
)
from server.cli.output import AsJson, print_json, print_table, shown

if TYPE_CHECKING:
    from server.accounts.administration import Administration
    from server.accounts.keys.account_acts import AccountChanges

app = typer.Typer(help="Create, list, change and close accounts, and grant them credits.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="ID_OR_NAME", help="The account's id, name or e-mail address.")]
Email = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Its e-mail address, by which the Ask Sage API names it.", show_default="none"
    ),
]
NewEmail = Annotated[
    str | None, typer.Option("--email", metavar="ADDRESS", help="Its e-mail address.", show_default="unchanged")
]


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
    weight: Weight = None,
    email: Email = None,
    as_json: AsJson = False,
) -> None:
    """Create an account. Its keys come by `sagehold keys create --account`."""
    from server.accounts.reports.rows import account_row

    limits = limits_of(requests_per_minute, tokens_per_minute, concurrent)
    amount = None if credits is None else amount_of(credits) or None
    account, balance = administer(
        lambda administration: administration.create_account(
            name, credits=amount, metered=not unmetered, limits=limits, weight=weight or 1, email=email
        )
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
    table = Table("id", "name", "e-mail", "metered", "balance", "held", "weight", "created", "closed")
    for row in rows:
        cells = (row["id"], row["name"], shown(row["email"]), "yes" if row["metered"] else "no")
        shown_as = (shown(row[column]) for column in ("balance", "held", "weight", "created_at", "closed_at"))
        table.add_row(*cells, *shown_as)
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
        granted = await administration.ledger.grant(found.id, amount, note, reference=reference)
        return {**await _row(administration, found.id), "already_granted": granted.already}

    row = administer(act)
    if as_json:
        print_json(row)
        return
    has = f"{row['name']} ({row['id']}) has {shown(row['balance'])} credits"
    if row["already_granted"]:
        typer.echo(f"The reference {reference} was already granted: nothing changed. {has}.")
    else:
        typer.echo(f"{has} now.")


@app.command()
def change(
    account: Named,
    metered: Annotated[
        bool | None, typer.Option("--metered/--unmetered", help="Whether it pays.", show_default="unchanged")
    ] = None,
    requests_per_minute: NewPerMinute = None,
    tokens_per_minute: NewTokensPerMinute = None,
    concurrent: NewConcurrent = None,
    no_limits: NoLimits = False,
    weight: NewWeight = None,
    email: NewEmail = None,
    no_email: Annotated[bool, typer.Option("--no-email", help="Take its e-mail address away.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change what is given; a running server follows within seconds."""
    if no_email and email is not None:
        raise typer.BadParameter("--email and --no-email contradict each other")
    limits = limits_changed(limits_of(requests_per_minute, tokens_per_minute, concurrent), no_limits)
    _change(account, "Changed", as_json, metered=metered, limits=limits, weight=weight, email="" if no_email else email)


@app.command()
def rename(
    account: Named,
    name: Annotated[str, typer.Argument(help="The new name; there is only one of each.")],
    as_json: AsJson = False,
) -> None:
    """Give an account another name; its id stays."""
    _change(account, "Renamed", as_json, name=name)


@app.command()
def close(account: Named, as_json: AsJson = False) -> None:
    """Close an account: its keys stop working, its money and history stay. A running server follows within seconds."""
    _change(account, "Closed", as_json, closed=True)


@app.command()
def reopen(account: Named, as_json: AsJson = False) -> None:
    """Open a closed account again, with the keys that it had."""
    _change(account, "Reopened", as_json, closed=False)


def _change(account: str, done: str, as_json: bool, **changes: "Unpack[AccountChanges]") -> None:
    """done: what is said of it."""

    async def act(administration: "Administration") -> dict[str, Any]:
        changed = await administration.accounts.change_account(account, **changes)
        return await _row(administration, changed.id)

    row = administer(act)
    if as_json:
        print_json(row)
    else:
        typer.echo(f"{done} {row['name']} ({row['id']}).")


async def _rows(administration: "Administration") -> list[dict[str, Any]]:
    from server.accounts.reports.rows import account_row

    balances = await administration.ledger.balances()
    return [account_row(account, balances[account.id]) for account in await administration.accounts.list_accounts()]


async def _row(administration: "Administration", id_or_name: str) -> dict[str, Any]:
    from server.accounts.reports.rows import account_row

    account = await administration.accounts.find_account(id_or_name)
    return account_row(account, await administration.ledger.balance(account.id))
