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
    from server.knowledge.knowledge import Knowledge
    from server.knowledge.removal import Removal
    from server.knowledge.spool import Spool
    from server.knowledge.submissions import Submissions

Result = TypeVar("Result")

Account = Annotated[
    str,
    typer.Option("--account", metavar="ID_OR_NAME", help="The account whose datasets they are, or that may see them."),
]
DEFAULT = "default"
Named = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's name, short or full.")]


@dataclass(frozen=True, slots=True)
class Shelf:
    """An account's datasets, for commands that need no model."""

    administration: "Administration"
    caller: "Caller"
    datasets: "Datasets"
    documents: "Documents"
    removal: "Removal"
    submissions: "Submissions"
    spool: "Spool"


def shelve(account: str, act: Callable[[Shelf], Awaitable[Result]]) -> Result:
    """Do one thing with an account's datasets. Ends as `administer` does where something is wrong."""

    async def run(settings: Settings) -> Result:
        async with _opened(settings, account) as shelf:
            return await act(shelf)

    return told(run)


def consult(account: str, act: "Callable[[Knowledge, Caller], Awaitable[Result]]") -> Result:
    """Do one thing with an account's datasets that models may be needed for; they are loaded when they are.

    Ends as `administer` does where something is wrong.
    """

    async def run(settings: Settings) -> Result:
        from server.accounts.administration import Administration
        from server.core import Caller
        from server.knowledge.calls import LOCAL
        from server.services import knowledge_alone

        async with Administration.open(settings, create=False) as administration:
            owner = await administration.accounts.find_account(account)
            async with knowledge_alone(settings, administration.accounts) as knowledge:
                return await act(knowledge, Caller(key_id=LOCAL, account_id=owner.id))

    return told(run)


@asynccontextmanager
async def _opened(settings: Settings, account: str) -> AsyncGenerator[Shelf, None]:
    from server.accounts.administration import Administration
    from server.core import Caller
    from server.knowledge.calls import LOCAL
    from server.knowledge.claims import Claims
    from server.knowledge.datasets import Datasets
    from server.knowledge.documents import Documents
    from server.knowledge.removal import Removal
    from server.knowledge.search.retrieval import index_for
    from server.knowledge.spool import Spool
    from server.knowledge.submissions import Submissions

    async with Administration.open(settings, create=False) as administration:
        database = administration.accounts.database
        owner = await administration.accounts.find_account(account)
        index = index_for(database, settings)
        try:
            await index.prepare()
            spool = Spool(settings.data_dir / "documents")
            removal = Removal(database, index, spool.folder)
            yield Shelf(
                administration,
                Caller(key_id=LOCAL, account_id=owner.id),
                Datasets(database, index, removal),
                Documents(database, removal),
                removal,
                Submissions(database, index, Claims(database, index)),
                spool,
            )
        finally:
            await index.aclose()
