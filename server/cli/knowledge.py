"""What the commands about datasets share: whose they are, and opening them beside a running server or without one."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from server.cli.administration import told
from server.settings import Settings

if TYPE_CHECKING:
    from server.accounts.administration import Administration
    from server.core import Caller
    from server.knowledge.datasets import Datasets
    from server.knowledge.documents import Documents
    from server.knowledge.removal import Removal

Result = TypeVar("Result")

Account = Annotated[
    str,
    typer.Option("--account", metavar="ID_OR_NAME", help="The account whose datasets they are, or that may see them."),
]
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Shelf:
    """An account's datasets, for commands that need no model."""

    administration: "Administration"
    caller: "Caller"
    datasets: "Datasets"
    documents: "Documents"
    removal: "Removal"


def shelve(account: str, act: Callable[[Shelf], Awaitable[Result]]) -> Result:
    """Do one thing with an account's datasets. Ends as `administer` does where something is wrong."""

    async def run(settings: Settings) -> Result:
        async with _opened(settings, account) as shelf:
            return await act(shelf)

    return told(run)


@asynccontextmanager
async def _opened(settings: Settings, account: str) -> AsyncGenerator[Shelf, None]:
    from server.accounts.administration import Administration
    from server.core import Caller
    from server.knowledge.calls import LOCAL
    from server.knowledge.datasets import Datasets
    from server.knowledge.documents import Documents
    from server.knowledge.removal import Removal
    from server.knowledge.search.retrieval import index_for

    async with Administration.open(settings, create=False) as administration:
        database = administration.accounts.database
        owner = await administration.accounts.find_account(account)
        index = index_for(database, settings)
        try:
            await index.prepare()
            removal = Removal(database, index, settings.data_dir / "documents")
            yield Shelf(
                administration,
                Caller(key_id=LOCAL, account_id=owner.id),
                Datasets(database, index, removal),
                Documents(database, removal),
                removal,
            )
        finally:
            await index.aclose()
