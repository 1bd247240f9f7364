"""`sagehold audit`: who administered what."""

import json
from typing import Annotated

import typer
from rich.table import Table

from server.cli.administration import administer
from server.cli.output import AsJson, print_json, print_table, shown


def command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many acts.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Only acts before the one with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the latest acts of administration, the newest first. The actor is a key's id, or local for this command."""
    from server.accounts.reports.rows import act_row

    rows = [act_row(act) for act in administer(lambda administration: administration.reports.acts(limit, before))]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "at", "actor", "action", "target", "details")
    for row in rows:
        cells = [shown(row[column]) for column in ("id", "at", "actor", "action", "target")]
        table.add_row(*cells, json.dumps(row["details"], ensure_ascii=False))
    print_table(table, 0, 2, 4)
