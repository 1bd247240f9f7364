"""`sagehold usage`: what was used, summed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from server.cli.administration import administer, day_of
from server.cli.output import AsCsv, AsJson, print_json, print_pieces, print_table, shown

if TYPE_CHECKING:
    from server.accounts.administration import Administration

SELDOM = ("cached_tokens", "reasoning_tokens", "audio_seconds", "characters", "images")
"""Columns that a table leaves out where they are all zero."""


def command(
    by: Annotated[str, typer.Option(help="Some of account, key, model, served_by, task, day; comma-separated.")] = "",
    since: Annotated[str | None, typer.Option(metavar="DAY", help="The first day, in UTC.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day, in UTC.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this account's, by id or name.")] = None,
    key: Annotated[str | None, typer.Option(help="Only this key's, by id.")] = None,
    model: Annotated[str | None, typer.Option(help="Only what was asked of this public name.")] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Sum up what was used: requests, tokens, audio, characters, images and what they cost."""
    from server.accounts.reports.export import csv_lines, each
    from server.accounts.reports.rows import grouping, usage_columns

    first = None if since is None else day_of(since)
    last = None if until is None else day_of(until)

    async def act(administration: "Administration") -> tuple[list[str], list[dict[str, Any]]]:
        groups = grouping(by)
        rows = await administration.usage(groups, account=account, key=key, model=model, since=first, until=last)
        if as_csv:
            await print_pieces(csv_lines(usage_columns(groups), each(rows)))
        return usage_columns(groups), rows

    columns, rows = administer(act)
    if as_json:
        print_json(rows)
    elif not as_csv:
        kept = [column for column in columns if column not in SELDOM or any(row[column] for row in rows)]
        table = Table(*(column.replace("_", " ") for column in kept))
        for row in rows:
            table.add_row(*(shown(row[column]) for column in kept))
        print_table(table)
