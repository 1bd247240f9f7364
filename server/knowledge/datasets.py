"""Datasets, and who may do what with them."""

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import Caller
from server.errors import Conflict, InvalidRequest, NotFound
from server.knowledge.access import ACCOUNTS, Known, accessible, find, find_all, find_by_id, number_of
from server.knowledge.names import ALL, NONE, checked_name
from server.knowledge.records import Assignment, Dataset, Fusion, Permission, SearchTerms
from server.knowledge.removal import Removal
from server.knowledge.search.index import Index
from server.knowledge.tables import AssignmentRow, DatasetRow
from server.storage.clock import utc_now
from server.storage.database import Database

CLASSIFICATIONS = ("Unclassified", "CUI")
MOST_DATASETS = 1000
"""That one account may own: on SQLite each has tables of its own, which every new connection reads about."""
MOST_SHARED = 200
"""That one account may be let in to: it is not asked, and all of them are searched where its question names none."""
MOST_NAMES = 1000
"""In one question."""
MOST_WEIGHT = 1000.0


class Datasets:
    """Every method that names a dataset raises DatasetNotFound where there is none or the caller may not know of it,
    and PermissionDenied where it may know of it and not do that.

    A dataset is named by its full name, or by the short one: the caller's own comes before those shared with it; of
    several shared ones that have it, none is meant.
    """

    def __init__(
        self, database: Database, index: Index, removal: Removal, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._index = index
        self._removal = removal
        self._now = now

    async def create(self, caller: Caller, name: str, classification: str | None = None) -> Dataset:
        """name: 4 to 100 characters. Raises InvalidRequest, Conflict for one that the account has already."""
        name = checked_name(name)
        if classification is not None and classification not in CLASSIFICATIONS:
            raise InvalidRequest(
                f"A dataset's classification is one of {', '.join(CLASSIFICATIONS)}.", param="classification"
            )
        try:
            async with self._database.write() as session:
                return await self._create(session, caller, name, classification)
        except IntegrityError:  # PostgreSQL's other writers
            raise _taken(name) from None

    async def _create(self, session: AsyncSession, caller: Caller, name: str, classification: str | None) -> Dataset:
        owned = select(DatasetRow.name).where(DatasetRow.owner_id == caller.account_id, DatasetRow.deleted_at.is_(None))
        if await session.scalar(owned.where(DatasetRow.name == name)) is not None:
            raise _taken(name)
        if (await session.scalar(select(func.count()).select_from(owned.subquery())) or 0) >= MOST_DATASETS:
            raise Conflict(f"An account has {MOST_DATASETS:,} datasets at most.", param="dataset")
        created = Dataset(
            id=f"ds_{secrets.token_hex(12)}",
            name=name,
            owner_id=caller.account_id,
            owner_number=await number_of(self._database, session, caller.account_id),
            permission=Permission.OWNER,
            created_at=self._now(),
            classification=classification,
        )
        inserted = await session.execute(
            insert(DatasetRow)
            .values(
                id=created.id,
                owner_id=created.owner_id,
                name=created.name,
                classification=created.classification,
                created_at=created.created_at,
            )
            .returning(DatasetRow.number)
        )
        await self._index.create(session, inserted.scalar_one())
        return created

    async def find(self, caller: Caller, name: str, need: Permission = Permission.READ) -> Dataset:
        async with self._database.read() as session:
            return (await find(session, caller, name, need)).dataset

    async def get(self, caller: Caller, dataset_id: str, need: Permission = Permission.READ) -> Dataset:
        """By its id."""
        async with self._database.read() as session:
            return (await find_by_id(session, caller, dataset_id, need)).dataset

    async def several(self, caller: Caller, names: Sequence[str]) -> Sequence[Dataset]:
        """What a question's `dataset` means: `all` is all that the caller may read, `none` adds none.

        Raises InvalidRequest for too many.
        """
        asked = [name for name in dict.fromkeys(names) if name != NONE]
        if len(asked) > MOST_NAMES:
            raise InvalidRequest(f"A question names {MOST_NAMES:,} datasets at most.", param="dataset")
        if not asked:
            return ()
        async with self._database.read() as session:
            found = await find_all(session, caller, [name for name in asked if name != ALL])
            if ALL in asked:
                found = await accessible(session, caller)
        return tuple({one.number: one.dataset for one in found}.values())

    async def list(self, caller: Caller) -> Sequence[Dataset]:
        """Those the caller may read, its own first, by name."""
        async with self._database.read() as session:
            return [one.dataset for one in await accessible(session, caller)]

    async def delete(self, caller: Caller, name: str) -> None:
        """With its documents, their chunks, vectors and indexes, and what of it is waiting to be ingested.

        When this returns, nobody sees it any more, and its name is free; `Removal` deletes what it holds.
        """
        async with self._database.write() as session:
            await hide(session, (await find(session, caller, name, Permission.OWNER)), self._now())
        self._removal.call()

    async def remove(self, caller: Caller, dataset_id: str) -> None:
        """The same by its id."""
        async with self._database.write() as session:
            await hide(session, (await find_by_id(session, caller, dataset_id, Permission.OWNER)), self._now())
        self._removal.call()

    async def change_terms(self, caller: Caller, name: str, terms: SearchTerms) -> Dataset:
        """For its admins. Raises InvalidRequest."""
        _check_terms(terms)
        async with self._database.write() as session:
            known = await find(session, caller, name, Permission.ADMIN)
            await session.execute(
                update(DatasetRow)
                .where(DatasetRow.number == known.number)
                .values(
                    fusion=terms.fusion,
                    keyword_weight=terms.keyword_weight,
                    dense_weight=terms.dense_weight,
                    rerank=terms.rerank,
                )
            )
        return replace(known.dataset, terms=terms)

    async def assign(self, caller: Caller, name: str, account_id: str, permission: Permission) -> None:
        """Let an account in, or change what it may do. For admins; nobody gives more than they have.

        Raises NotFound for the account; InvalidRequest for the owner, as whom nobody else is let in; Conflict for an
        account that was let in to too many.
        """
        async with self._database.write() as session:
            known = await find(session, caller, name, Permission.ADMIN)
            if permission is Permission.OWNER:
                raise InvalidRequest("A dataset has one owner: give read, edit or admin.", param="permissions")
            if account_id == known.dataset.owner_id:
                raise InvalidRequest("The dataset's owner may do everything already.", param="email")
            if await session.scalar(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id)) is None:
                raise NotFound("There is no such account.", param="email")
            which = (AssignmentRow.dataset_number == known.number, AssignmentRow.account_id == account_id)
            # Two admins may do it at once: on PostgreSQL they take turns at the dataset's row.
            await session.execute(select(DatasetRow.number).where(DatasetRow.number == known.number).with_for_update())
            await session.execute(delete(AssignmentRow).where(*which))
            others = select(func.count()).select_from(AssignmentRow).where(AssignmentRow.account_id == account_id)
            if (await session.scalar(others) or 0) >= MOST_SHARED:
                raise Conflict("That account has been let in to as many datasets as it can be.", param="email")
            await session.execute(
                insert(AssignmentRow).values(
                    dataset_number=known.number, account_id=account_id, permission=permission.name.lower()
                )
            )

    async def deassign(self, caller: Caller, name: str, account_id: str) -> None:
        """For admins, and for whoever leaves by themselves. An account that was not let in changes nothing."""
        need = Permission.READ if account_id == caller.account_id else Permission.ADMIN
        async with self._database.write() as session:
            known = await find(session, caller, name, need)
            await session.execute(
                delete(AssignmentRow).where(
                    AssignmentRow.dataset_number == known.number, AssignmentRow.account_id == account_id
                )
            )

    async def assignments(self, caller: Caller, name: str) -> Sequence[Assignment]:
        """For admins. By the accounts' names; the owner is not among them."""
        async with self._database.read() as session:
            known = await find(session, caller, name, Permission.ADMIN)
            rows = await session.execute(
                select(AssignmentRow.account_id, ACCOUNTS.c.name, AssignmentRow.permission)
                .join(ACCOUNTS, ACCOUNTS.c.id == AssignmentRow.account_id)
                .where(AssignmentRow.dataset_number == known.number)
                .order_by(ACCOUNTS.c.name)
            )
            return [Assignment(known.dataset.id, one, named, Permission[level.upper()]) for one, named, level in rows]


async def hide(session: AsyncSession, known: Known, now: datetime) -> None:
    """From this unit of work on nobody sees the dataset, and its name is free."""
    await session.execute(
        update(DatasetRow)
        .where(DatasetRow.number == known.number, DatasetRow.deleted_at.is_(None))
        # No name begins with a space.
        .values(name=f" {known.dataset.id}", deleted_at=now, revision=DatasetRow.revision + 1)
    )


def _taken(name: str) -> Conflict:
    return Conflict(f"You have a dataset `{name}` already.", param="dataset")


def _check_terms(terms: SearchTerms) -> None:
    if terms.fusion not in get_args(Fusion):
        raise InvalidRequest(f"A dataset's fusion is one of {', '.join(get_args(Fusion))}.", param="fusion")
    for param in ("keyword_weight", "dense_weight"):
        weight = getattr(terms, param)
        if not (math.isfinite(weight) and 0 <= weight <= MOST_WEIGHT):
            raise InvalidRequest(f"A weight is a number from 0 to {MOST_WEIGHT:g}.", param=param)
    if terms.keyword_weight == terms.dense_weight == 0:
        raise InvalidRequest("One of the two weights is more than 0.", param="keyword_weight")
