"""May this caller do this, and can they pay? The door between a plan and its work, and the bill after it."""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from decimal import Decimal
from typing import Protocol

from server.accounts.ledger.terms import Balance, Hold, Line, Settlement, Use, insufficient
from server.core import Ask, Caller, Facts
from server.core.money import MOST, ZERO, cost_of
from server.errors import (
    InsufficientCredits,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    SageholdError,
)
from server.pipeline.passes import Work
from server.pipeline.plan import Plan
from server.pipeline.pricing import affordable_tokens, bound, cost, foreseen, least

log = logging.getLogger(__name__)

SMALLEST = Decimal("1e-9")
"""Credits: the least that the ledger keeps."""


class Bank(Protocol):
    """The part of the ledger that a request needs; see server/accounts/ledger/ledger.py."""

    async def demand(self, caller: Caller, least: Decimal) -> None: ...

    async def hold(self, caller: Caller, reference: str, most: Decimal, least: Decimal | None = None) -> Hold: ...

    async def settle(self, hold: Hold, lines: Sequence[Line], use: Use | None = None) -> Settlement: ...

    async def release(self, hold: Hold, note: str = "released") -> None: ...

    async def balance(self, account_id: str) -> Balance: ...


class Ticket(Protocol):
    """A request that the limits let in; see server/accounts/limits/limiter.py."""

    @property
    def headers(self) -> dict[str, str]: ...

    def used(self, tokens: int) -> None: ...


class Limiter(Protocol):
    """The part of the rate limits that a request needs."""

    def admit(self, caller: Caller) -> AbstractAsyncContextManager[Ticket]: ...

    def arriving(self, caller: Caller) -> AbstractAsyncContextManager[None]: ...


class Shared:
    """The ticket of a request that takes several runs: it was counted when it came, and they add up their tokens."""

    def __init__(self, ticket: Ticket, key_id: str) -> None:
        self.key_id = key_id
        self._ticket = ticket
        self._tokens = 0

    @property
    def headers(self) -> dict[str, str]:
        return self._ticket.headers

    def used(self, tokens: int) -> None:
        self._tokens += tokens
        self._ticket.used(self._tokens)


_shared: "ContextVar[Shared | None]" = ContextVar("shared", default=None)
"""Of the request that this task works for; None where each run is a request of its own."""


class Charge:
    """What a request is billed for: settled once, by the first of the engine's figures, the end, and a failure.

    limit: tokens that each answer may have, where the hold is less than the plan's bound; None where it is not.
    """

    def __init__(self, bank: Bank, hold: Hold, limit: int | None, paid: Decimal | None = None) -> None:
        """paid: what was paid before this one."""
        self.limit = limit
        self._bank = bank
        self._hold = hold
        self._closed = False
        self.settled = False
        """Whether it is turned, or being turned, into a cost."""
        self.credits = paid
        """What the account pays, once it is settled or reckoned; None for accounts without meter."""

    def reckon(self, work: Work) -> None:
        """Say in `credits` what will be paid, before it is."""
        if self._hold.metered and not self._closed:
            self.credits = min(sum((cost_of(line.amount) for line in _lines(work)), ZERO), self._hold.amount)

    async def settle(self, work: Work) -> None:
        """Turn the hold into the real cost of each pass. Before the last byte leaves: a crash after it must not be
        free."""
        if self._closed:
            return
        self._closed = self.settled = True
        plan = work.plan
        use = Use(plan.model, plan.spec.name, plan.job.task, work.usage)
        settlement = await self._bank.settle(self._hold, _lines(work), use)
        if self._hold.metered:
            self.credits = settlement.charged

    async def aclose(self) -> None:
        """Give the hold back if it was never settled: the work failed, and nothing is paid."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._bank.release(self._hold, "failed")
        except SageholdError as error:
            # The hold stays open, and is given back by a beat once this server has ended.
            log.error("a hold could not be released: %s", error)


def _lines(work: Work) -> Sequence[Line]:
    """What the passes cost that were needed."""
    plan = work.plan
    return [
        Line(f"pass {one.place + 1} ({one.name})", cost(plan, plan.passes[one.place], one.usage)) for one in work.used
    ]


class Free:
    """The bank of a server without accounts: everything is free, and nothing is written down."""

    async def demand(self, caller: Caller, least: Decimal) -> None:
        pass

    async def hold(self, caller: Caller, reference: str, most: Decimal, least: Decimal | None = None) -> Hold:  # noqa: ARG002
        return Hold(reference, caller.account_id, caller.key_id, ZERO, metered=False)

    async def settle(self, hold: Hold, lines: Sequence[Line], use: Use | None = None) -> Settlement:  # noqa: ARG002
        return Settlement(sum((line.amount for line in lines), ZERO), ZERO)

    async def release(self, hold: Hold, note: str = "released") -> None:
        pass

    async def balance(self, account_id: str) -> Balance:  # noqa: ARG002
        return Balance(MOST, ZERO, metered=False)


class Admission:
    """bank, limiter: where accounts live. Both know callers without meter and without limits, and leave them be."""

    def __init__(self, bank: Bank, limiter: Limiter) -> None:
        self._bank = bank
        self._limiter = limiter
        self._asking: Counter[str] = Counter()
        self._ahead: dict[str, Decimal] = {}

    def free(self) -> "Admission":
        """The same door, behind which nothing is billed."""
        return Admission(Free(), self._limiter)

    @asynccontextmanager
    async def arriving(self, caller: Caller, *, paid: bool) -> AsyncGenerator[None, None]:
        """The time in which a large body comes in, of which nothing is known yet.

        Raises RateLimited for who could not be let in now, and InsufficientCredits for who has nothing to pay with:
        what would be refused in the end is not read. paid: whether all that the caller could want costs credits.
        """
        async with self._limiter.arriving(caller):
            if paid and caller.metered:
                try:
                    await self._bank.demand(caller, SMALLEST)
                except InsufficientCredits:
                    raise InsufficientCredits("This request costs credits, but 0 are left.") from None
            yield

    def admit(self, ask: Ask, plan: Plan) -> AbstractAsyncContextManager[Ticket]:
        """Let a request in for the length of the block.

        Raises PermissionDenied, ModelNotFound, RateLimited; InsufficientCredits where the account could not pay for
        the smallest answer that the plan can come to: nothing is loaded, read or held for it.
        """
        caller = ask.caller
        self._check(caller, plan)
        return self._paying(caller, plan) if caller.metered else self._limited(caller)

    @asynccontextmanager
    async def admit_once(self, ask: Ask, plan: Plan) -> AsyncGenerator[None, None]:
        """As `admit`, for a request that takes several runs: those that its task opens in the block, and those that
        such a task's tasks do, are let in with it. They are looked at as any, but none is counted again.

        plan: of the run that answers.
        """
        async with self.admit(ask, plan) as ticket:
            token = _shared.set(Shared(ticket, ask.caller.key_id))
            try:
                yield
            finally:
                _shared.reset(token)

    def _check(self, caller: Caller, plan: Plan) -> None:
        if "inference" not in caller.scopes:
            raise PermissionDenied("This key has no inference scope.")
        if caller.models is not None and plan.model not in caller.models:
            raise ModelNotFound.named(plan.model)

    def _limited(self, caller: Caller) -> AbstractAsyncContextManager[Ticket]:
        shared = _shared.get()
        if shared is not None and shared.key_id == caller.key_id:
            return nullcontext(shared)
        return self._limiter.admit(caller)

    @asynccontextmanager
    async def _paying(self, caller: Caller, plan: Plan) -> AsyncGenerator[Ticket, None]:
        async with self._limited(caller) as ticket:
            await self._bank.demand(caller, least(plan))
            yield ticket

    def affording(self, caller: Caller, plan: Plan) -> AbstractAsyncContextManager[None]:
        """For the time until a request has its hold: a full queue's refusal becomes InsufficientCredits where truer.

        One account may send a crowd that it can't pay, which fills a model's queue before the first hold is written.
        Whoever is turned away then should not come again for room, if those ahead of it take all that the account has.
        Example: of an account with 12 credits, 100 requests at 5 each come at once, and the queue has room for 10. The
        90 others read "not enough credits" rather than "try again": the 10 ahead of them ask for 50.
        """
        return self._in_the_crowd(caller, plan) if caller.metered else nullcontext()

    @asynccontextmanager
    async def _in_the_crowd(self, caller: Caller, plan: Plan) -> AsyncGenerator[None, None]:
        asked, account = foreseen(plan), caller.account_id
        self._asking[account] += 1
        self._ahead[account] = self._ahead.get(account, ZERO) + asked.most
        try:
            yield
        except (Overloaded, RateLimited) as refused:
            available = (await self._bank.balance(account)).available
            left = max(ZERO, available - self._ahead[account] + asked.most)
            if left < asked.least:
                raise insufficient(asked.least, left) from refused
            raise
        finally:
            self._ahead[account] -= asked.most
            self._asking[account] -= 1
            if not self._asking[account]:
                del self._asking[account], self._ahead[account]

    async def charge(self, ask: Ask, plan: Plan, facts: Facts) -> Charge:
        """Hold what the plan may cost. The caller closes the charge. Raises InsufficientCredits."""
        bounds = bound(plan, facts)
        most = bounds.most
        if ask.caller.metered and bounds.usual is not None and bounds.usual < most:
            most = bounds.share((await self._bank.balance(ask.caller.account_id)).available)
        hold = await self._bank.hold(ask.caller, ask.id, most, bounds.least)
        short = hold.metered and hold.amount < bounds.most
        limit = affordable_tokens(plan, facts, hold.amount) if short else None
        return Charge(self._bank, hold, limit, ask.paid if ask.caller.metered else None)
