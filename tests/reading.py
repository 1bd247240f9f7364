"""Readings in one stream: the facts first, then the events, as a test wants to look at them together."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing

from server.core import Event, Facts, Job
from server.engines.base import Engine, Handler, Waiting


async def ran(engine: Engine, job: Job) -> AsyncGenerator[Facts | Event, None]:
    """The job's facts, then its events. Closing it closes the reading."""
    async with aclosing(await engine.read(job)) as reading:
        yield reading.facts
        async with aclosing(reading.run()) as events:
            async for event in events:
                yield event


def handled(handler: Handler, job: Job) -> Iterator[Facts | Event | Waiting | None]:
    """As `ran`, of what runs inside a worker."""
    with closing(handler.read(job)) as reading:
        yield reading.facts
        yield from reading.run(None)


class Script:
    """A Reading made of one stream: its facts, then its events."""

    unread = 0

    def __init__(self, facts: Facts, stream: AsyncGenerator[Facts | Event, None]) -> None:
        self.facts = facts
        self._stream = stream

    @classmethod
    async def of(cls, stream: AsyncGenerator[Facts | Event, None]) -> "Script":
        facts = await anext(stream)
        assert isinstance(facts, Facts)
        return cls(facts, stream)

    async def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:
        async for event in self._stream:
            assert not isinstance(event, Facts)
            yield event

    async def aclose(self) -> None:
        await self._stream.aclose()


class BlockingScript:
    """A handler's reading made of one iterator: its facts, then its events."""

    facts: Facts

    def __init__(self, stream: Iterator[Facts | Event | Waiting | None]) -> None:
        facts = next(stream)
        assert isinstance(facts, Facts)
        self.facts = facts
        self._stream = stream

    def run(self, limit: int | None) -> Iterator[Event | Waiting | None]:
        for event in self._stream:
            assert not isinstance(event, Facts)
            yield event

    def close(self) -> None:
        getattr(self._stream, "close", lambda: None)()


class Streams(Engine):
    """For a test's engine: its `stream` yields a job's facts, then its events."""

    async def read(self, job: Job) -> Script:
        return await Script.of(self.stream(job))

    def stream(self, job: Job) -> AsyncGenerator[Facts | Event, None]:
        raise NotImplementedError


class Handles:
    """For a test's handler: its `handle` yields a job's facts, then its events."""

    def read(self, job: Job) -> BlockingScript:
        return BlockingScript(self.handle(job))

    def handle(self, job: Job) -> Iterator[Facts | Event | Waiting | None]:
        raise NotImplementedError
