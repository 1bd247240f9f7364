"""What the rest of the server may ask of an engine."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from server.core import Event, Facts, Job

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes held: of the host, and of each GPU by its number among those that the server sees. Zeros are left out."""

    host: int = 0
    gpus: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gpus", {number: held for number, held in sorted(self.gpus.items()) if held})

    @property
    def gpu(self) -> int:
        """Bytes of all GPUs together."""
        return sum(self.gpus.values())

    def on(self, gpu: int) -> int:
        return self.gpus.get(gpu, 0)

    def __bool__(self) -> bool:
        return bool(self.host or self.gpus)

    def __add__(self, other: "Footprint") -> "Footprint":
        numbers = self.gpus.keys() | other.gpus.keys()
        return Footprint(self.host + other.host, {number: self.on(number) + other.on(number) for number in numbers})

    def beyond(self, other: "Footprint") -> "Footprint":
        """What this has more than the other, for each kind; zero where it has less: 5 of host beyond 3 are 2."""
        return Footprint(
            max(0, self.host - other.host),
            {number: max(0, held - other.on(number)) for number, held in self.gpus.items()},
        )


class Reading(Protocol):
    """A job that an engine has read. Close it on every path (`aclosing`): that ends what `run` began, within a second.

    Nothing costly begins before `run`: the pipeline asks for credits in between, and may close the reading instead.
    """

    @property
    def facts(self) -> Facts: ...

    @property
    def unread(self) -> int:
        """Tokens that were generated and that no event has told yet; 0 where an engine waits for its reader."""
        ...

    @property
    def cached(self) -> int:
        """Tokens of the prompt that were found in the cache, as far as that is known by now; see `Usage`."""
        ...

    def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:
        """The work: the task's events, then exactly one Usage. Once at most.

        limit: tokens that each answer may have, where that is less than `facts.room`.
        Raises EngineFailed when the engine dies on the way, SlowReader when it would be too far ahead of who takes the
        events and can't wait for them.
        """
        ...

    async def aclose(self) -> None:
        """Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """Prompt tokens looked up in the cache of what was read before, and found there, since the engine started."""

    looked_up: int = 0
    found: int = 0


class Engine(ABC):
    """A model, loaded somewhere, that answers jobs. Started once, stopped once, never restarted.

    A job is read, then run. Both may cross a process border.

    sleeps: whether it can give its GPU memory back and take it again without a reload, by `sleep` and `wake`.
    """

    sleeps: ClassVar[bool] = False

    @property
    def yields(self) -> bool:
        """Whether jobs of the background (see `behind`) stand still within a step, and give up their part of the
        engine's memory, as soon as better ones need it."""
        return False

    @abstractmethod
    async def start(self) -> None:
        """Load the model. Raises ModelUnavailable with a reason a person can act on."""

    @abstractmethod
    async def stop(self) -> None:
        """End the engine and wait until its processes are gone. Safe to call twice."""

    @property
    @abstractmethod
    def alive(self) -> bool:
        """False once the engine's process has died; it then never comes back."""

    @property
    def hung(self) -> bool:
        """Whether it is not alive since it hung, and its processes were ended for that."""
        return False

    @property
    @abstractmethod
    def running(self) -> int:
        """Jobs in flight inside the engine, by the engine's own count."""

    @abstractmethod
    def footprint(self) -> Footprint:
        """Bytes held now, as the operating system and the driver report them; blocking.

        A GPU that is missing holds nothing, or the driver hides what these processes hold there.
        """

    @abstractmethod
    async def read(self, job: Job) -> Reading:
        """Look at all of the job that could be wrong. Raises InvalidRequest, EngineFailed."""

    # ------------------------------------------------------------ what not every engine has

    @property
    def pids(self) -> list[int]:
        """Its processes, without their descendants; empty while none runs, and for an engine that has none."""
        return []

    async def sleep(self) -> None:
        """Give the GPU's memory back. Only where `sleeps`."""
        raise NotImplementedError

    async def wake(self) -> None:
        """Take the GPU's memory again. Only where `sleeps`."""
        raise NotImplementedError

    @property
    def apart(self) -> bool:
        """While it starts: whether what is left to do is done in other processes, and hardly in this one."""
        return True

    @property
    def context(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None where there are none, or while it is unknown."""
        return None

    @property
    def places(self) -> int | None:
        """Answers that it makes at once; None for what its config says."""
        return None

    @property
    def room(self) -> float | None:
        """Work that its memory holds at once, in the unit of `Claim.size`; None where a count is all there is."""
        return None

    def behind(self, rank: int) -> "Engine":  # noqa: ARG002
        """The same engine, for jobs of this rank: where a step can't hold all that it was given, the lowest goes first.

        0 is an account's first request of the normal class; each further one has as many as the account has at work.
        The background's ranks begin with `caller.CLASS`.
        """
        return self

    def prefix_cache(self) -> PrefixCache | None:
        """Counts of the cache by which a beginning that two prompts share is read once; None where there is none."""
        return None

    def metrics(self) -> Iterable["Metric"]:
        """Prometheus metrics of the engine's own, with the model's name among their labels; they go when it stops."""
        return ()


async def answer(engine: Engine, job: Job) -> AsyncGenerator[Event, None]:
    """A job's events without a look at its facts: for what nobody pays for, such as a probe."""
    async with aclosing(await engine.read(job)) as reading, aclosing(reading.run()) as events:
        async for event in events:
            yield event


class Waiting(Enum):
    """See WAITING."""

    WAITING = "waiting"


WAITING: Final = Waiting.WAITING
"""What a handler's work yields where it has taken no step, only to learn whether it is cancelled."""


class BlockingReading(Protocol):
    """A job that a handler has read, as `Reading`, in plain blocking code."""

    @property
    def facts(self) -> Facts: ...

    def run(self, limit: int | None) -> Iterator[Event | Waiting | None]:
        """The task's events, then exactly one Usage; None after a step of which there is nothing to say yet.

        On cancellation the generator is closed between two of them, so a long step should yield often, or ask
        `cancellation.given_up`. A job that takes no step for as long as SAGEHOLD_STEP_TIMEOUT is taken for hung, and
        its process is ended: see `pulse.py`.
        """
        ...

    def close(self) -> None:
        """Let go of what reading has opened. Called once, after the last of `run`, or instead of it."""
        ...


class Handler(Protocol):
    """What runs inside a worker process: plain blocking code around one loaded model.

    A worker is named by a factory, `"server.engines.piper.handler:create"`, which is called in the child with the
    model's options (plain picklable data) and returns a Handler with its model loaded. A SageholdError raised in it
    reaches the client as it is; anything else is a bug and becomes EngineFailed.
    """

    def read(self, job: Job) -> BlockingReading:
        """As `Engine.read`; well under a second of work."""
        ...
