"""Driving an awaitable by hand as far as it goes without waiting: what is ready at once needs no task and no timer."""

from collections.abc import Awaitable, Generator
from types import coroutine
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Steps(Protocol):
    """What drives an awaitable: a coroutine, what `__await__` returns, or what `anext` of a generator does."""

    def send(self, value: Any, /) -> Any: ...

    def throw(self, error: BaseException, /) -> Any: ...


@coroutine
def rest_of(steps: Steps, waits_for: Any) -> Generator[Any, Any, Any]:
    """Await what somebody has begun: its first `send(None)` gave `waits_for`, on which it waits.

    By the same task, if the awaitable knows its task, as timeouts do. Returns and raises what the awaitable does.
    """
    try:
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:  # noqa: BLE001 - a cancellation goes to where the awaitable waits
                waits_for = steps.throw(error)
            else:
                waits_for = steps.send(answer)
    except StopIteration as end:
        return end.value


class Begun(Generic[T]):
    """An awaitable that was begun at once: it has ended, or has run until it waited for the first time.

    `done` says which. Await it once for its outcome, in the task that began it if the awaitable knows its task, as
    timeouts do. What it raises comes out of `result` or the await, also if it was raised by the part that has run.
    """

    __slots__ = ("_error", "_result", "_steps", "_waits_for", "done")

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self.done = True
        self._error: BaseException | None = None
        self._steps = awaitable.__await__()
        try:
            self._waits_for = self._steps.send(None)
        except StopIteration as end:
            self._result: T = end.value
        except BaseException as error:  # noqa: BLE001 - raised again where the outcome is taken
            self._error = error
        else:
            self.done = False

    def result(self) -> T:
        """The outcome of what is done. Raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    async def outcome(self) -> T:
        """As `result`, once it is done."""
        if self.done:
            return self.result()
        outcome: T = await rest_of(self._steps, self._waits_for)
        return outcome
