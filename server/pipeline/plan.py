"""What will be done for a request: which model, with which parameters, in which passes. Data only; see modes.py."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from server.core import Event, Facts, Job, Quality
from server.models.config.spec import ModelSpec, Price

if TYPE_CHECKING:
    from server.pipeline.passes import Work


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """One pass of the work, and the most that it can take. Passes after the first may turn out to be unnecessary.

    answers: how many are made at once, such as drafts, takes or pictures.
    prompts: how often the request's messages are read.
    reads: how many answers of full length each of these prompts holds besides the messages.
    extra: tokens, at most, that each prompt holds besides both (what the server itself says to the model).
    writes: tokens, at most, of each answer; None where the request's own limit holds.
    job: what is done, where its price is not that of the plan's job.
    by: another model that does the pass, and its price.

    Example: five drafts of a chat that are judged one by one are `PlannedPass("drafts", answers=5)` and
    `PlannedPass("judge", answers=5, prompts=5, reads=1, extra=200, writes=1)`: five prompts of the messages, a draft
    and up to 200 tokens of instructions, each answered by one token.
    """

    name: str
    answers: int = 1
    prompts: int = 1
    reads: int = 0
    extra: int = 0
    writes: int | None = None
    job: Job | None = None
    by: tuple[ModelSpec, Price] | None = None


class Strategy(ABC):
    """The passes of a plan, and how they follow each other. Each is a file in server/pipeline/strategies/."""

    name: ClassVar[str]

    passes: tuple[PlannedPass, ...]
    """At least one, in the order in which they are begun."""

    @property
    def opening(self) -> PlannedPass:
        """The pass that `first` belongs to. Only what another model does may come before it."""
        return self.passes[0]

    @abstractmethod
    def first(self) -> Job:
        """What the opening pass asks of the engine. It is read before anything is paid for. Called once a run."""

    async def facts(self, work: "Work") -> Facts:
        """All that is known before anything is paid for: what the engine has read, and more where others must read too.

        Raises InvalidRequest.
        """
        return work.facts

    @abstractmethod
    def run(self, work: "Work") -> AsyncGenerator[Event, None]:
        """The events of the answer, then the Usage of all passes. The first pass has been read: see `Work.first`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run for a request.

    model: the public name under which it is asked for, and billed.
    job: the client's, with the defaults of the model and of the mode filled in.
    price: the model's, times the ask's `price_factor`, as those of other models in the passes are.
    limited: whether the client itself limited the answer's length.
    quality: the mode that is done, never auto. reason: why this one, and what was left out of it.
    budget: seconds after which no further pass is begun; None for no end.
    notes: what the mode changed of what is documented, for `usage.quality`.
    """

    spec: ModelSpec
    model: str
    job: Job
    price: Price
    strategy: Strategy
    limited: bool = True
    quality: Quality = Quality.MEDIUM
    reason: str = "asked for"
    budget: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def passes(self) -> tuple[PlannedPass, ...]:
        return self.strategy.passes

    @property
    def candidates(self) -> int:
        """How many answers are made for each that is given: 5 for five drafts of one, 4 for eight pictures of two."""
        given: int = getattr(self.job, "answers", getattr(self.job, "n", 1))
        return max(1, self.strategy.opening.answers // max(1, given))
