"""How a line of a batch is answered and paid: by a request in process, of the key that the batch was made with.

It is in the lowest class of priority, at the price of batches, and no rate limit holds for it: the batch has its own
pace. The key's models and scopes are those of this moment.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from starlette.types import ASGIApp

from server.api.access import ANYONE
from server.api.inner import InnerRequest
from server.api.inner_request import Inner
from server.api.openai.dialect import OPENAI
from server.core import Caller, Limits, Priority
from server.core.money import ZERO
from server.errors import InternalError, SageholdError
from server.jobs.batches.executor import LineResult, Order, PayerGone

log = logging.getLogger(__name__)


class Payers(Protocol):
    """The part of accounts that is asked who pays."""

    async def caller(self, key_id: str) -> Caller | None:
        """Whoever that key stands for now; None if it was revoked or has expired, or its account is closed.

        Raises DatabaseUnavailable.
        """
        ...


class Books(Protocol):
    """The part of the ledger that knows what is paid already."""

    async def settled(self, prefix: str) -> frozenset[int]: ...

    async def cost(self, part: str) -> Decimal: ...


class BatchLines:
    """`Executor` and `Bills` of server/jobs/batches/executor.py, over an application.

    A line that was ended, or failed, after it was paid is known here: when it is tried again, it is not paid again. Of
    tries that another process has paid, the batch tells by `Order.paid`.
    """

    def __init__(
        self,
        app: ASGIApp,
        payers: Payers | None,
        books: Books | None,
        *,
        price_factor: Decimal = Decimal(1),
        priority: Priority = Priority.BACKGROUND,
    ) -> None:
        """payers, books: None where nobody needs a key, and nothing is billed. price_factor: what a line costs, as a
        part of the models' prices. priority: BACKGROUND where others ask as well."""
        self._app = app
        self._payers = payers
        self._books = books
        self._price_factor = price_factor
        self._priority = priority
        self._paid: set[str] = set()  # by the first try's reference

    async def settled(self, batch_id: str) -> frozenset[int]:
        """Numbers of the lines that were paid. Raises what the database raises."""
        return frozenset() if self._books is None else await self._books.settled(f"{batch_id}-")

    async def run(self, order: Order) -> LineResult:
        """The line's answer, or what it was refused with. Raises PayerGone.

        Whoever is cancelled meanwhile pays nothing, unless the whole answer had been paid in that very moment.
        """
        part = order.reference.partition(".")[0]
        try:
            caller = await self._caller(order)
            paid = await self._paid_before(part) if order.paid or part in self._paid else None
        except SageholdError as error:  # the database does not answer
            return _refused(order, error)
        request = InnerRequest(
            self._app, order.endpoint, order.body, Inner(caller, order.reference, self._price_factor, paid)
        )
        result = None
        try:
            body = await request.send()
            result = LineResult(
                status_code=request.status,
                request_id=order.reference,
                body=body,
                retry_after=_retry_after(request.headers),
            )
        except Exception as error:  # one line's trouble is not the batch's
            log.exception("a batch's request was broken off", exc_info=error)
            return _refused(order, InternalError())
        finally:
            if result is not None and result.status_code < 300:
                self._paid.discard(part)
            elif request.settled:
                self._paid.add(part)
        return result

    async def _paid_before(self, part: str) -> Decimal:
        return ZERO if self._books is None else await self._books.cost(part)

    async def _caller(self, order: Order) -> Caller:
        """Raises PayerGone, DatabaseUnavailable."""
        if self._payers is None:
            caller: Caller | None = replace(ANYONE, account_id=order.account_id)
        elif order.key_id is None:
            raise PayerGone("This batch was made without a key, and this server needs one now.")
        else:
            caller = await self._payers.caller(order.key_id)
        if caller is None or caller.account_id != order.account_id:
            raise PayerGone(
                "The API key that this batch was made with has been revoked or has expired, or its account is closed."
            )
        return replace(caller, priority=self._priority, limits=Limits(), account_limits=Limits())


def _refused(order: Order, error: SageholdError) -> LineResult:
    answer = OPENAI.refusal(error)
    return LineResult(
        status_code=answer.status_code,
        request_id=order.reference,
        body=bytes(answer.body),
        retry_after=_retry_after(answer.headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds."""
    for name, parts in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return int(headers[name]) / parts
        except (KeyError, ValueError):
            continue
    return None
