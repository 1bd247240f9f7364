"""Which datasets a caller may know of. Everything that names one goes through here, inside a unit of work.

What others own is in no query's way: the time of an answer depends on what the caller may see, and on nothing else.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, column, func, literal, select, table, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import DatasetNotFound, PermissionDenied
from server.knowledge.names import Name, read_name
from server.knowledge.records import Dataset, DocumentState, Permission, SearchTerms
from server.knowledge.tables import AssignmentRow, DatasetRow, DocumentRow
from server.storage.columns import storable
from server.storage.database import Database

ACCOUNTS = table("accounts", column("id"), column("name"), column("number"))
"""What knowledge reads of the accounts' table, which another package keeps."""
ACCOUNTS_LOCK = 0x5A6E_0002
"""Under which accounts are made and changed."""


@dataclass(frozen=True, slots=True)
class Known:
    """A dataset that a caller may read, and the number under which its rows are kept."""

    number: int
    dataset: Dataset


async def find(session: AsyncSession, caller: Caller, name: str, need: Permission = Permission.READ) -> Known:
    """Raises DatasetNotFound, PermissionDenied."""
    [found] = await find_all(session, caller, [name])
    check(found.dataset, need)
    return found


async def find_by_id(
    session: AsyncSession, caller: Caller, dataset_id: str, need: Permission = Permission.READ
) -> Known:
    """As `find`, by the dataset's id instead of a name."""
    # What no database can hold is nobody's id, and is looked for all the same.
    wanted = dataset_id if storable(dataset_id) else ""
    rows = await session.execute(_readable(caller.account_id).where(DatasetRow.id == wanted))
    for row in rows:
        known = Known(row[0].number, _dataset(caller, *row))
        check(known.dataset, need)
        return known
    raise DatasetNotFound.named(dataset_id)


def check(dataset: Dataset, need: Permission) -> None:
    """Raises PermissionDenied where the dataset's reader needs more than they have."""
    if dataset.permission < need:
        raise PermissionDenied(
            f"That takes the permission {need.name.lower()}; you have {dataset.permission.name.lower()} of the dataset "
            f"`{dataset.name}`.",
            param="dataset",
        )


async def find_all(session: AsyncSession, caller: Caller, names: Sequence[str]) -> Sequence[Known]:
    """A dataset for each name. Raises DatasetNotFound for the first that there is none for."""
    read = [read_name(name) for name in names]
    known = await accessible(session, caller, {name.short for name in read if name is not None})
    return [_meant(caller, text, name, known) for text, name in zip(names, read, strict=True)]


async def accessible(session: AsyncSession, caller: Caller, names: Collection[str] | None = None) -> Sequence[Known]:
    """What the caller may read, its own first, by name; of these (short) names only, where there are any given."""
    query = _readable(caller.account_id)
    if names is not None:
        query = query.where(DatasetRow.name.in_(names))
    rows = await session.execute(query)
    return [Known(row[0].number, _dataset(caller, *row)) for row in rows]


def readable_by(account_id: str) -> ColumnElement[bool]:
    """Whether a dataset is the account's own or shared with it; one that is deleted too."""
    own = select(DatasetRow.number).where(DatasetRow.owner_id == account_id)
    shared = select(AssignmentRow.dataset_number).where(AssignmentRow.account_id == account_id)
    return DatasetRow.number.in_(own.union(shared))


def _readable(account_id: str) -> Select[DatasetRow, int, str | None, int, int]:
    ready = (DocumentRow.dataset_number == DatasetRow.number, DocumentRow.state == DocumentState.READY.value)
    documents = select(func.count()).select_from(DocumentRow).where(*ready).scalar_subquery()
    chunks = select(func.coalesce(func.sum(DocumentRow.chunks), 0)).where(*ready).scalar_subquery()
    return (
        select(DatasetRow, ACCOUNTS.c.number, AssignmentRow.permission, documents, chunks)
        .join(ACCOUNTS, ACCOUNTS.c.id == DatasetRow.owner_id)
        .outerjoin(
            AssignmentRow,
            (AssignmentRow.dataset_number == DatasetRow.number) & (AssignmentRow.account_id == literal(account_id)),
        )
        .where(readable_by(account_id), DatasetRow.deleted_at.is_(None))
        .order_by(DatasetRow.owner_id != account_id, DatasetRow.name, DatasetRow.number)
        # What is read after a change must be what was written, not what the session remembers.
        .execution_options(populate_existing=True)
    )


def _meant(caller: Caller, text: str, name: Name | None, known: Sequence[Known]) -> Known:
    if name is not None:
        same = [each for each in known if each.dataset.name == name.short]
        if name.owner_number is not None:
            same = [each for each in same if each.dataset.owner_number == name.owner_number]
        own = [each for each in same if each.dataset.owner_id == caller.account_id]
        for candidates in (own, same):
            if len(candidates) == 1:
                return candidates[0]
    raise DatasetNotFound.named(text)


def _dataset(
    caller: Caller, row: DatasetRow, owner_number: int | None, assigned: str | None, documents: int, chunks: int
) -> Dataset:
    own = row.owner_id == caller.account_id
    return Dataset(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        owner_number=owner_number or 0,
        permission=Permission.OWNER if own or assigned is None else Permission[assigned.upper()],
        created_at=row.created_at,
        classification=row.classification,
        model=row.model,
        dimensions=row.dimensions,
        terms=SearchTerms(row.fusion, row.keyword_weight, row.dense_weight, row.rerank),  # type: ignore[arg-type]
        documents=documents,
        chunks=int(chunks),
    )


async def number_of(database: Database, session: AsyncSession, account_id: str) -> int:
    """An account's number, within a unit of work that writes: one that an older version has made gets its own here."""
    query = select(ACCOUNTS.c.number).where(ACCOUNTS.c.id == account_id)
    number: int | None = (await session.execute(query)).scalar_one()
    if number is None:
        await database.lock(session, ACCOUNTS_LOCK)
        highest = await session.scalar(select(func.max(ACCOUNTS.c.number)))
        number = (highest or 0) + 1
        await session.execute(
            update(ACCOUNTS).where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.number.is_(None)).values(number=number)
        )
        number = (await session.execute(query)).scalar_one()
    return number
