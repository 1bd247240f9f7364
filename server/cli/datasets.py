"""`sagehold datasets`: what answers may be drawn from. Works beside a running server or without one."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from server.cli.adding import add
from server.cli.knowledge import DEFAULT, Account, Named, Shelf, shelve
from server.cli.output import AsJson, print_json, print_table, shown
from server.cli.searching import search

if TYPE_CHECKING:
    from server.knowledge.records import Dataset, Permission

app = typer.Typer(help="Create, fill, search, share and delete datasets.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="4 to 100 characters; an account has one of each.")],
    account: Account = DEFAULT,
    classification: Annotated[str | None, typer.Option(help="Unclassified or CUI.", show_default="none")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a dataset."""
    made = shelve(account, lambda shelf: shelf.datasets.create(shelf.caller, name, classification))
    if as_json:
        print_json(_row(made))
    else:
        typer.echo(f"Created {made.full_name}.")


app.command()(add)
app.command()(search)


@app.command("list")
def list_(account: Account = DEFAULT, as_json: AsJson = False) -> None:
    """List the datasets that an account may read, its own first."""
    found = shelve(account, lambda shelf: shelf.datasets.list(shelf.caller))
    if as_json:
        print_json([_row(one) for one in found])
        return
    columns = ("name", "full_name", "permission", "documents", "chunks", "classification", "model", "created_at")
    table = Table(*(column.replace("_", " ") for column in columns))
    for one in found:
        row = _row(one)
        table.add_row(*(shown(row[column]) for column in columns))
    print_table(table, 1)


@app.command()
def change(
    dataset: Named,
    account: Account = DEFAULT,
    fusion: Annotated[
        str | None, typer.Option(help="hybrid, keyword or dense: how it is searched.", show_default="unchanged")
    ] = None,
    keyword_weight: Annotated[float | None, typer.Option(help="In hybrid search.", show_default="unchanged")] = None,
    dense_weight: Annotated[float | None, typer.Option(help="In hybrid search.", show_default="unchanged")] = None,
    rerank: Annotated[
        bool | None, typer.Option("--rerank/--no-rerank", help="By the server's model.", show_default="unchanged")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change how a dataset is searched."""
    given = {
        "fusion": fusion,
        "keyword_weight": keyword_weight,
        "dense_weight": dense_weight,
        "rerank": rerank,
    }

    async def act(shelf: Shelf) -> "Dataset":
        found = await shelf.datasets.find(shelf.caller, dataset)
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return await shelf.datasets.change_terms(shelf.caller, found.full_name, replace(found.terms, **changes))

    changed = shelve(account, act)
    if as_json:
        print_json(_row(changed))
    else:
        typer.echo(f"Changed {changed.full_name}.")


@app.command()
def delete(dataset: Named, account: Account = DEFAULT) -> None:
    """Delete a dataset with all that it holds. It is gone at once; this ends when nothing of it is on the disk."""

    async def act(shelf: Shelf) -> None:
        await shelf.datasets.delete(shelf.caller, dataset)
        await shelf.removal.finish()

    shelve(account, act)
    typer.echo(f"Deleted {dataset}.")


@app.command()
def remove(
    dataset: Named,
    filename: Annotated[str, typer.Argument(help="The document's name, as `documents` lists it.")],
    account: Account = DEFAULT,
) -> None:
    """Take documents of a name out of a dataset, those under way too."""

    async def act(shelf: Shelf) -> int:
        count = await shelf.documents.delete(shelf.caller, dataset, filename)
        await shelf.removal.finish()
        return count

    count = shelve(account, act)
    typer.echo(f"Removed {filename}." if count == 1 else f"Removed {count} documents of the name {filename}.")


@app.command()
def assign(
    dataset: Named,
    who: Annotated[str, typer.Argument(metavar="ID_OR_NAME", help="The account to let in; an e-mail address too.")],
    permission: Annotated[str, typer.Option(help="read, edit or admin.")] = "read",
    account: Account = DEFAULT,
) -> None:
    """Let an account in, or change what it may do."""
    from server.knowledge.records import Permission

    if permission not in ("read", "edit", "admin"):
        raise typer.BadParameter(f"{permission!r} is not one of read, edit, admin", param_hint="--permission")

    async def act(shelf: Shelf) -> str:
        found = await shelf.administration.accounts.find_account(who)
        await shelf.datasets.assign(shelf.caller, dataset, found.id, Permission[permission.upper()])
        return found.name

    typer.echo(f"{shelve(account, act)} may {permission} {dataset} now.")


@app.command()
def deassign(
    dataset: Named,
    who: Annotated[str, typer.Argument(metavar="ID_OR_NAME", help="The account; an e-mail address too.")],
    account: Account = DEFAULT,
) -> None:
    """Let an account in no more."""

    async def act(shelf: Shelf) -> str:
        found = await shelf.administration.accounts.find_account(who)
        await shelf.datasets.deassign(shelf.caller, dataset, found.id)
        return found.name

    typer.echo(f"{shelve(account, act)} has no permission for {dataset} any more.")


@app.command()
def documents(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="The dataset's name, short or full.", show_default="all")
    ] = None,
    account: Account = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List documents, the newest first, and where their ingestion stands."""
    found = shelve(account, lambda shelf: shelf.documents.list(shelf.caller, dataset))
    rows = [one.listed(name) for name, one in found]
    if as_json:
        print_json(rows)
        return
    columns = ("id", "dataset", "filename", "state", "done", "total", "chunks", "size", "created_at", "error")
    table = Table(*(column.replace("_", " ") for column in columns))
    for row in rows:
        table.add_row(*(shown(row[column]) for column in columns))
    print_table(table, 0)


DocumentId = Annotated[str, typer.Argument(metavar="ID", help="The document's id, as `documents` lists it.")]


@app.command()
def retry(document: DocumentId, account: Account = DEFAULT) -> None:
    """Let a server begin a document anew that failed or was cancelled. It need not be added again."""
    from server.errors import Conflict

    async def act(shelf: Shelf) -> None:
        await shelf.documents.find(shelf.caller, document, _edit())
        if document not in await shelf.spool.ids():
            raise Conflict("The document's file is not on this server. Please add it again.", param="document")
        if not await shelf.submissions.retry(document, shelf.caller):
            raise Conflict("The document did not fail, and was not cancelled.", param="document")

    shelve(account, act)
    typer.echo(f"{document} is queued: the server that runs on this data folder ingests it.")


@app.command()
def cancel(document: DocumentId, account: Account = DEFAULT) -> None:
    """End the ingestion of a document; what was made of it goes. One that has ended stays as it is."""

    async def act(shelf: Shelf) -> bool:
        await shelf.documents.find(shelf.caller, document, _edit())
        return await shelf.submissions.cancel(document)

    typer.echo(f"Cancelled {document}." if shelve(account, act) else f"{document} had ended: nothing changed.")


def _edit() -> "Permission":
    from server.knowledge.records import Permission

    return Permission.EDIT


def _row(dataset: "Dataset") -> dict[str, Any]:
    terms = dataset.terms
    return {
        "id": dataset.id,
        "name": dataset.name,
        "full_name": dataset.full_name,
        "owner_id": dataset.owner_id,
        "permission": dataset.permission.name.lower(),
        "classification": dataset.classification,
        "documents": dataset.documents,
        "chunks": dataset.chunks,
        "model": dataset.model,
        "dimensions": dataset.dimensions,
        "fusion": terms.fusion,
        "keyword_weight": terms.keyword_weight,
        "dense_weight": terms.dense_weight,
        "rerank": terms.rerank,
        "created_at": dataset.created_at,
    }
