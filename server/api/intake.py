"""A body on its way in: a large one is read only for who could be served, when there is room, and beside the others.

Why so: docs/decisions/016-bodies.md.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from starlette.requests import Request

from server.api.access import caller_of
from server.api.body_room import BodyRoom
from server.api.inner_request import inner_of
from server.api.services import Services
from server.core import Task
from server.models.config.spec import Price

T = TypeVar("T")

LARGE = 64 * 1024
"""Bytes up to which nothing special is done for a body: it is read in a millisecond or two."""


class Intake:
    """One request's body on its way in. Nothing is done for one that stays below LARGE.

    A large one is read only if its caller could be served at all: `Admission.arriving` says what is looked at. It then
    waits for room, and holds it until the block ends. The server's own requests wait for nothing but the reading.
    """

    def __init__(self, request: Request, task: Task | None) -> None:
        """task: what the route does; None where that costs nothing, whatever the models' prices."""
        self.large = False
        self._request = request
        self._task = task
        self._held: AsyncExitStack | None = None
        self._room: BodyRoom | None = None

    async def enter(self, size: int) -> None:
        """The body is a large one, of `size` bytes at most. Raises RateLimited, InsufficientCredits, Overloaded."""
        self.large = True
        services: Services | None = getattr(self._request.app.state, "services", None)
        caller = None if services is None else caller_of(self._request)
        if services is None or caller is None:
            return  # nobody to ask, in a test's application
        self._room = services.bodies
        if inner_of(self._request.scope) is not None:
            return  # it is in memory already, and whoever sends it sees to how many there are
        self._held = held = AsyncExitStack()
        paid = self._task is not None and all(
            _costs(one.price) for one in services.catalog.public_models() if self._task in one.tasks
        )
        await held.enter_async_context(services.pipeline.arriving(caller, paid=paid))
        await held.enter_async_context(self._room.holding(caller.account_id, size))

    async def read(self, work: Callable[[], T]) -> T:
        """What `work` makes of the body, where others need not wait for it."""
        return work() if self._room is None else await self._room.read(work)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held is not None:
            await self._held.aclose()


def _costs(price: Price) -> bool:
    return any(vars(price).values())
