"""What the rest of the server may ask of an engine."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from server.core import Event, Job


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes an engine holds once loaded."""

    host: int = 0
    gpu: int = 0


class Engine(Protocol):
    """A model, loaded somewhere, that answers jobs. Started once, stopped once, never restarted.

    `run` yields exactly one `Accepted` first, then the task's events, then exactly one `Usage`. Input that is
    wrong raises an InvalidRequest before `Accepted`. What is costly begins after it where the engine can wait: the
    pipeline asks for credits in between, and may close the generator instead of going on. Closing the generator
    (`aclose`) stops the work within a second. A death of the engine raises EngineFailed out of every running `run`.
    """

    async def start(self) -> None:
        """Load the model. Raises ModelUnavailable with a reason a person can act on."""
        ...

    async def stop(self) -> None:
        """End the engine and wait until its processes are gone. Safe to call twice."""
        ...

    @property
    def alive(self) -> bool:
        """False once the engine's process has died; it then never comes back."""
        ...

    @property
    def running(self) -> int:
        """Jobs in flight inside the engine, by the engine's own count."""
        ...

    def footprint(self) -> Footprint:
        """Bytes held now, as the operating system and the device report them."""
        ...

    def run(self, job: Job) -> AsyncGenerator[Event, None]: ...


@runtime_checkable
class Sleeper(Protocol):
    """An engine that can give its GPU memory back and take it again without a reload."""

    async def sleep(self) -> None: ...

    async def wake(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """Prompt tokens looked up in the cache of what was read before, and found there, since the engine started."""

    looked_up: int = 0
    found: int = 0


@runtime_checkable
class Caching(Protocol):
    """An engine that does not read twice what two prompts begin with."""

    def prefix_cache(self) -> PrefixCache: ...


class Handler(Protocol):
    """What runs inside a worker process: plain blocking code around one loaded model.

    A worker is named by a factory, `"server.engines.piper:create"`, which is called in the child with the
    model's options (plain picklable data) and returns a Handler with its model loaded. `handle` yields
    events by the same rules as `Engine.run`. On cancellation the generator is closed between two events, so
    long steps should yield often: None where there is nothing to tell. A SageholdError raised in it reaches the
    client as it is; anything else is a bug and becomes EngineFailed.
    """

    def handle(self, job: Job) -> Iterator[Event | None]: ...
