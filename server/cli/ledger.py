"""`sagehold ledger`: every grant, hold, release and charge, and whether they add up."""

from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.administration import administer
from server.cli.output import AsCsv, AsJson, print_pieces

if TYPE_CHECKING:
    from server.accounts.administration import Administration

app = typer.Typer(help="Export the ledger of credits, and check it.", no_args_is_help=True)


@app.command()
def export(
    account: Annotated[str | None, typer.Option(help="Only this account's entries, by id or name.")] = None,
    after: Annotated[int, typer.Option(min=0, help="The last entry's id that you have already.")] = 0,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Print all entries in the order they were made: CSV, or with --json an array."""
    from server.accounts.reports.export import csv_lines, json_array
    from server.accounts.reports.rows import LEDGER_COLUMNS

    if as_csv and as_json:
        raise typer.BadParameter("choose one of --csv and --json")

    async def act(administration: "Administration") -> None:
        account_id = None if account is None else (await administration.accounts.find_account(account)).id
        rows = administration.entries(account_id, after)
        await print_pieces(json_array(rows) if as_json else csv_lines(LEDGER_COLUMNS, rows))
        if as_json:
            typer.echo()

    administer(act)


@app.command()
def check() -> None:
    """Sum up every account's entries and compare with its balance. Ends with 1 if one differs."""
    wrong = administer(lambda administration: administration.ledger.discrepancies())
    for account in wrong:
        typer.echo(f"{account}: the balance is not the sum of the entries", err=True)
    if wrong:
        raise typer.Exit(1)
    typer.echo("Every balance is the sum of its entries.")
