"""What the pipeline must know of a task in order to plan, bound and bill it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from server.core import Ask, Facts, Job, Quality, Task, Usage
from server.core.money import ZERO
from server.models.config.quality import AnyQuality, Auto
from server.models.config.spec import ModelSpec, Price
from server.pipeline.plan import Plan, PlannedPass, Strategy

J = TypeVar("J", bound=Job)

CHARACTERS_A_TOKEN = 4
"""Of ordinary text, roughly: for estimates before the text has been read."""


class Resolver(Protocol):
    """The part of the catalog that planning needs."""

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        """The model that `name` means for `task`. Raises ModelNotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of a request before its task has planned it.

    model: its public name, without the suffix that names a mode. quality: the mode that will be done, never auto.
    chosen: whether the server chose it, and not the client. modes: what each quality means for the task on this model;
    None where the task has one mode only. notes: as `Plan.notes`.
    """

    ask: Ask
    model: str
    spec: ModelSpec
    price: Price
    quality: Quality
    reason: str
    chosen: bool = False
    modes: AnyQuality | None = None
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> object:
        """Those of the model's config for this mode; None for a model without modes."""
        return getattr(self.modes, self.quality, None)

    def plan(self, job: Job, strategy: Strategy, *, limited: bool = True, note: str = "") -> Plan:
        """note: what was left out of the mode, and why."""
        return Plan(
            self.spec,
            self.model,
            job,
            self.price,
            strategy,
            limited=limited,
            quality=self.quality,
            reason="; ".join([self.reason, *self.notes, *([note] if note else [])]),
            budget=self.ask.budget or getattr(self.settings, "budget", None),
            notes=self.notes,
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """Credits: between what a job costs at least to be worth beginning, and at most.

    They differ for a chat whose client set no limit: its answer is then as long as the balance affords. With 10 prompt
    tokens at 0.1 and up to 90 answered at 1, `least` is 2 and `most` is 91.

    usual: what an answer of ordinary length costs, where `most` is for one that fills the model's context; None where
    all of `most` is to be held.
    """

    most: Decimal
    least: Decimal
    usual: Decimal | None = None

    def share(self, available: Decimal) -> Decimal:
        """What to hold of an account: `most` where it has that, else half, so that its other requests find something.

        Where half buys no usual answer, what such an answer costs. Of 80 credits for the room there are 50: 25 are
        held, and a second request at the same time holds 12.5. Of 3 there are 2, and a usual answer costs 2.56: the
        hold takes all that there is.
        """
        if self.usual is None or available >= self.most:
            return self.most
        return max(self.least, self.usual, available / 2)


class TaskRules(ABC, Generic[J]):
    """One task's own rules; `TASKS` has them all. Pure functions."""

    def wanted(self, job: J, auto: Auto, *, streamed: bool) -> tuple[Quality, str]:  # noqa: ARG002 - for those with rules
        """The mode that auto wants for the job, and why, before the model's load is looked at."""
        return Quality.MEDIUM, "nothing asks for more"

    @abstractmethod
    def plan(self, choice: Choice, job: J, catalog: Resolver) -> Plan:
        """The plan, with what the client left open filled in. Raises InvalidRequest."""

    @abstractmethod
    def size(self, plan: Plan) -> float:
        """About how much work it is, by the job alone; see `Claim.size`."""

    @abstractmethod
    def bound(self, plan: Plan, facts: Facts) -> Bound:
        """What the plan's passes may cost."""

    def foreseen(self, plan: Plan) -> Bound:
        """As `bound`, by the job alone: without its prompt, and without an audio's length."""
        return self.bound(plan, Facts())

    def least(self, plan: Plan) -> Decimal:
        """What the smallest answer costs that could come of the plan, by the job alone."""
        return self.bound(plan, Facts()).least

    def limit(self, plan: Plan, facts: Facts, held: Decimal) -> int | None:  # noqa: ARG002 - for those that have one
        """Tokens that each answer may have for `held` credits; None where the price sets no limit."""
        return None

    @abstractmethod
    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:
        """What a pass has used, at the plan's price, or at that of the other model that did it."""


def first(*values: float | None) -> float | None:
    """The first that is given."""
    return next((value for value in values if value is not None), None)


def exactly(amounts: Iterable[Decimal]) -> Bound:
    """The bound of passes whose cost is known beforehand."""
    most = sum(amounts, ZERO)
    return Bound(most, most)
