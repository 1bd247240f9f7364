"""Credits: hold before work, settle or release after it, grant. Append-only, and never below zero."""

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

import anyio
from sqlalchemy import Connection, func, select

from server.accounts.ledger.instances import BEAT, Instance
from server.accounts.ledger.journal import journal_on
from server.accounts.ledger.posting import Posting
from server.accounts.ledger.terms import (
    Balance,
    CloseStep,
    Entry,
    Granted,
    GrantOutcome,
    GrantStep,
    Hold,
    HoldStep,
    Line,
    Outcome,
    Settlement,
    Step,
    Use,
    insufficient,
)
from server.accounts.tables import AccountRow, BalanceRow, EntryRow, HoldRow, InstanceRow, UsageRow
from server.core import Caller
from server.core.money import MOST, ZERO, bound_of, cost_of
from server.errors import DatabaseUnavailable, InvalidRequest, NotFound, SageholdError, Unavailable
from server.storage.clock import utc_now
from server.storage.database import NO_ANSWER, OUTAGE, SERVER_WAIT, Database
from server.storage.group_commit import GroupCommit

logger = logging.getLogger(__name__)
PAGE = 1000
MOST_UNWRITTEN = 10_000
"""Usage records of accounts without meter that are kept for a database that is down. Charges are kept all."""
# One statement, so that what is held and what is available are of the same moment.
BALANCES = select(
    BalanceRow.account_id,
    BalanceRow.available,
    AccountRow.metered,
    select(func.sum(HoldRow.amount)).where(HoldRow.account_id == BalanceRow.account_id).scalar_subquery().label("held"),
).join(AccountRow, AccountRow.id == BalanceRow.account_id)
# Open holds of processes that are not at work, with the keys that are in their entries.
ORPHANS = (
    select(HoldRow.reference, HoldRow.account_id, HoldRow.amount, EntryRow.key_id)
    .join(EntryRow, (EntryRow.reference == HoldRow.reference) & (EntryRow.kind == "hold"))
    .where(HoldRow.instance_id.not_in(select(InstanceRow.id)))
)
Answer = TypeVar("Answer")


class Ledger:
    """Holds and what becomes of them. Two short transactions for a request, never one across its stream.

    Every step may be repeated and counts once. Steps of parallel requests share transactions (`group_commit`); once
    a call returns, its step is on the disk. A caller that is cancelled while it waits for a hold gets it back.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime] = utc_now, instance: Instance | None = None
    ) -> None:
        self._database = database
        self._now = now
        self._instance = instance or Instance()
        self._steps: GroupCommit[Step, Outcome | SageholdError] = GroupCommit(self._post, NO_ANSWER)
        self._heart: asyncio.Task[None] | None = None
        self._unwritten: list[CloseStep] = []
        self._seen: dict[str, Decimal] = {}  # what accounts had when a step of theirs was last posted here

    # ------------------------------------------------------------ a request's steps

    async def demand(self, caller: Caller, least: Decimal) -> None:
        """Raises InsufficientCredits where the account could not pay `least`. Nothing is locked, and nothing held.

        Who had enough when last seen is believed: another server may have spent it, and the hold then says so. Who had
        not is looked up, since there may have been a grant. Raises Unavailable where the database does not answer.
        """
        if not caller.metered or least <= 0 or self._seen.get(caller.account_id, ZERO) >= least:
            return
        available = self._seen[caller.account_id] = (await self.balance(caller.account_id)).available
        if available < least:
            raise insufficient(least, available)

    async def hold(self, caller: Caller, reference: str, most: Decimal, least: Decimal | None = None) -> Hold:
        """Set aside what a request may cost: all of `most`, or what the account has, if that is `least` or more.

        An account has 3 credits. With most=5 and least=2 the hold's `amount` is 3. With least=4, or without `least`,
        which is then `most`, it raises InsufficientCredits, with the cost and what is left in its message. From a
        caller without meter nothing is held, and it is never refused.

        reference: the request's own id, up to 64 characters, no two requests alike. Under one reference one hold is
        made: the second time, the answer is the first one. Raises InternalError where another account has it.
        """
        most = bound_of(most)
        least = most if least is None else min(bound_of(least), most)
        if least < 0:
            raise ValueError("a hold can't be negative")
        if not caller.metered:
            return Hold(reference, caller.account_id, caller.key_id, ZERO, metered=False)
        step = HoldStep(reference, caller.account_id, caller.key_id, most, least, self._instance.id)
        future = self._steps.submit(step)
        try:
            outcome = await _posted(future)
        except asyncio.CancelledError:
            future.add_done_callback(self._give_back)
            raise
        return _expect(Hold, outcome)

    async def settle(self, hold: Hold, lines: Sequence[Line], use: Use | None = None) -> Settlement:
        """Turn a hold into what the work costs, a line for each pass, and note what was used.

        No more than the hold is charged: of 0.8 credits under a hold of 0.5, 0.5 are. The second time, and after a
        release, nothing happens, and the answer is what was charged before. Call it before the last byte of the
        answer leaves: a crash after it costs nothing. Who is cancelled meanwhile waits until it is written: the work
        may be done once more by another process, which asks here whether it is paid.
        """
        exact = tuple(Line(line.name, cost_of(line.amount)) for line in lines)
        if any(line.amount < 0 for line in exact):
            raise ValueError("a charge can't be negative")
        closing = self._close(CloseStep(hold, exact, "settled", use))
        try:
            outcome = await _posted(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing])
            raise
        settlement = _expect(Settlement, outcome)
        if hold.metered and settlement.charged != settlement.cost:
            logger.warning("%s cost %s, but %s was charged", hold.reference, settlement.cost, settlement.charged)
        return settlement

    async def release(self, hold: Hold, note: str = "released") -> None:
        """Give a hold back, free of charge."""
        if hold.metered:
            await _posted(self._close(CloseStep(hold, (), note, None)))

    def _close(self, step: CloseStep) -> "asyncio.Future[Outcome | SageholdError]":
        """Submit a step that must not be lost: while the database is down it waits, and is posted with a beat."""
        future = self._steps.submit(step)
        future.add_done_callback(partial(self._keep_unwritten, step))
        return future

    def _keep_unwritten(self, step: CloseStep, future: "asyncio.Future[Outcome | SageholdError]") -> None:
        written = future.cancelled() or not isinstance(future.exception(), OUTAGE)
        if not written and (step.hold.metered or len(self._unwritten) < MOST_UNWRITTEN):
            self._unwritten.append(step)

    async def _post_unwritten(self) -> None:
        steps, self._unwritten = self._unwritten, []
        if steps:
            outcomes = await asyncio.gather(*map(self._close, steps), return_exceptions=True)
            written = sum(not isinstance(outcome, BaseException) for outcome in outcomes)
            logger.warning("%d of %d bills that could not be written before are now", written, len(steps))

    def _give_back(self, future: "asyncio.Future[Outcome | SageholdError]") -> None:
        if not future.cancelled() and future.exception() is None and isinstance(hold := future.result(), Hold):
            self._close(CloseStep(hold, (), "cancelled", None))

    # ------------------------------------------------------------ accounts

    async def grant(
        self, account_id: str, amount: Decimal, note: str = "", *, actor: str = "local", reference: str | None = None
    ) -> Granted:
        """Give an account credits, or take them back with a negative number. With a reference it counts once, and the
        second time the answer says so.

        Raises NotFound; InvalidRequest for more than nine places, a balance outside its bounds, or a reference that
        another grant has.
        """
        check_grant(amount)
        step = GrantStep(reference or f"grant_{secrets.token_hex(12)}", account_id, amount, note, actor)
        outcome = _expect(GrantOutcome, await _posted(self._steps.submit(step)))
        return Granted(await self.balance(account_id), outcome.already)

    async def last_grant(self, account_id: str) -> int:
        """The number of the account's newest grant, 0 for none. A reference that holds it lets of several that were
        worked out from the same grants only one count."""
        query = select(func.max(EntryRow.id)).where(EntryRow.account_id == account_id, EntryRow.kind == "grant")
        async with self._database.read() as session:
            return await session.scalar(query) or 0

    async def balance(self, account_id: str) -> Balance:
        """Raises NotFound; Unavailable where the database does not answer."""
        try:
            async with self._database.read(within=SERVER_WAIT) as session:
                row = (await session.execute(BALANCES.where(BalanceRow.account_id == account_id))).first()
        except OUTAGE as error:
            _tell("the accounts database could not be read: %s", error)
            raise Unavailable("The accounts can't be read right now.") from None
        if row is None:
            raise NotFound(f"There is no account {account_id}.")
        return Balance(row.available, row.held or ZERO, row.metered)

    async def balances(self) -> Mapping[str, Balance]:
        """Every account's, by its id."""
        async with self._database.read() as session:
            rows = await session.execute(BALANCES)
            return {row.account_id: Balance(row.available, row.held or ZERO, row.metered) for row in rows}

    async def entries(
        self,
        account_id: str | None = None,
        after: int = 0,
        *,
        kinds: Collection[str] = (),
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Entry]:
        """Entries of an account, or of all, in the order they were made or the other way round; read page by page.

        after: the id of the last entry that is known already, 0 for none. kinds: only these, all by default. limit: at
        most so many.
        """
        order = EntryRow.id.desc() if newest_first else EntryRow.id
        while limit is None or limit > 0:
            most = PAGE if limit is None else min(limit, PAGE)
            query = select(EntryRow).order_by(order).limit(most)
            if after:
                query = query.where(EntryRow.id < after if newest_first else EntryRow.id > after)
            if account_id is not None:
                query = query.where(EntryRow.account_id == account_id)
            if kinds:
                query = query.where(EntryRow.kind.in_(kinds))
            async with self._database.read() as session:
                rows = list(await session.scalars(query))
            for row in rows:
                yield Entry(
                    row.id, row.account_id, row.key_id, row.reference, row.kind, row.line, row.amount, row.note,
                    row.created_at,
                )  # fmt: skip
            if len(rows) < most:
                return
            after = rows[-1].id
            limit = None if limit is None else limit - most

    async def settled(self, prefix: str) -> frozenset[int]:
        """Which numbered parts of a piece of work have a usage record, by their number.

        A part's reference is the prefix, its number, and for further tries a full stop and what tells them apart: with
        the prefix `batch_1f-`, those of part 7 are `batch_1f-7` and `batch_1f-7.2.1`.
        """
        tries = (reference.removeprefix(prefix).partition(".")[0] for reference, _ in await self._recorded(prefix))
        return frozenset(int(number) for number in tries if number.isascii() and number.isdecimal())

    async def cost(self, part: str) -> Decimal:
        """What the tries at a part have cost, by the first one's reference: `batch_1f-7`."""
        recorded = await self._recorded(part)
        return sum((cost for reference, cost in recorded if reference.partition(".")[0] == part), ZERO)

    async def _recorded(self, prefix: str) -> Sequence[tuple[str, Decimal]]:
        """Usage records whose reference begins so: their references, and what they cost."""
        # Whatever the database's collation, and even where it skips signs: digits come before letters, so that all
        # that goes on in digits is in this range of the unique index. What else is there is sorted out by its text.
        within = (UsageRow.reference >= prefix) & (UsageRow.reference < f"{prefix}z")
        async with self._database.read() as session:
            rows = (await session.execute(select(UsageRow.reference, UsageRow.cost).where(within))).all()
        return [(row.reference, row.cost) for row in rows if row.reference.startswith(prefix)]

    async def discrepancies(self) -> Sequence[str]:
        """Ids of the accounts whose kept balance is not the sum of their entries; none, or the ledger is broken."""
        total = func.coalesce(func.sum(EntryRow.amount), ZERO)
        async with self._database.read() as session:
            rows = await session.execute(
                select(BalanceRow.account_id)
                .outerjoin(EntryRow, EntryRow.account_id == BalanceRow.account_id)
                .group_by(BalanceRow.account_id, BalanceRow.available)
                .having(total != BalanceRow.available)
            )
            return list(rows.scalars())

    # ------------------------------------------------------------ life

    async def start(self) -> int:
        """Join those at work on this database and give back the holds of those that died. Returns how many.

        One that died less than SILENCE ago still counts as at work; a later beat gives its holds back.
        """
        released = await self.reconcile()
        self._heart = asyncio.create_task(self._go_on_beating())
        return released

    async def reconcile(self) -> int:
        """Release the holds of processes that are no more: what they were for was never finished. Returns how many."""
        async with self._database.write() as session:
            await self._instance.beat(session)
            orphans = (await session.execute(ORPHANS)).all()
        for row in orphans:
            hold = Hold(row.reference, row.account_id, row.key_id, row.amount)
            await self.release(hold, "reconciled: the server died")
        if orphans:
            logger.warning("gave back %d holds of server processes that died", len(orphans))
        return len(orphans)

    async def beat(self) -> None:
        """What is done every BEAT: reconcile, and write the bills that could not be written before."""
        try:
            await self.reconcile()
            await self._post_unwritten()
        except (*OUTAGE, Unavailable) as error:
            logger.warning("the accounts database does not answer: %s", error)

    async def _go_on_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            await self.beat()

    async def aclose(self) -> None:
        """Write what is under way and leave. The database stays open: it is not the ledger's own."""
        with anyio.CancelScope(shield=True):
            if self._heart is not None:
                self._heart.cancel()
                await asyncio.gather(self._heart, return_exceptions=True)
            await self._steps.aclose()
            await self._post_unwritten()
            if self._unwritten:
                logger.error("%d bills could not be written and are lost", len(self._unwritten))
            if self._heart is not None:
                try:
                    async with self._database.write() as session:
                        await self._instance.leave(session)
                except OUTAGE as error:
                    # Once it is silent for SILENCE it is taken for dead.
                    logger.warning("the accounts database does not answer at the end: %s", error)

    async def _post(self, steps: Sequence[Step]) -> Sequence[Outcome | SageholdError]:
        def post(connection: Connection | sqlite3.Connection) -> tuple[list[Outcome | SageholdError], Posting]:
            posting = Posting(journal_on(connection), self._now())
            return posting.apply(steps), posting

        outcomes, posting = await self._database.run(post)
        self._seen.update(posting.available)
        return outcomes


def check_grant(amount: Decimal) -> None:
    """Raises InvalidRequest unless `amount` can be granted, as far as that is known without the balance."""
    if not amount.is_finite() or amount.copy_abs() > MOST or amount != cost_of(amount) or amount == 0:
        raise InvalidRequest(
            f"Credits are a number other than 0 with at most nine places, up to {MOST}.", param="credits"
        )


async def _posted(future: "asyncio.Future[Outcome | SageholdError]") -> Outcome | SageholdError:
    """The outcome of a step. Raises Unavailable where the database could not write it."""
    try:
        return await asyncio.shield(future)
    except OUTAGE as error:
        _tell("the accounts database could not write: %s", error)
        raise Unavailable("The accounts can't be written right now.") from None


def _tell(line: str, error: BaseException) -> None:
    if not isinstance(error, DatabaseUnavailable):  # of which the database's watch tells, once
        logger.error(line, error)


def _expect(kind: type[Answer], outcome: Outcome | SageholdError) -> Answer:
    if isinstance(outcome, SageholdError):
        raise outcome
    assert isinstance(outcome, kind)
    return outcome
