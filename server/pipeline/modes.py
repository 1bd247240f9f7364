"""From what was asked to what will be done: a pure function from a request, the catalog and the load to a Plan."""

from collections.abc import Callable
from decimal import Decimal

from server.core import QUALITY_WORDS, Ask, Job, Quality, Task
from server.errors import InvalidRequest, ModelNotFound
from server.models.config.spec import ModelSpec, Price
from server.pipeline.auto import choose
from server.pipeline.plan import Plan
from server.pipeline.tasks import TASKS
from server.pipeline.tasks.base import Choice, Resolver


class Reduced:
    """A catalog whose prices are a part of its own: of the model that was asked for, and of those that help it."""

    def __init__(self, catalog: Resolver, factor: Decimal) -> None:
        self._catalog = catalog
        self._factor = factor

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        """Raises ModelNotFound."""
        spec, price = self._catalog.resolve(name, task)
        return spec, price.times(self._factor)


def idle(spec: ModelSpec) -> float:  # noqa: ARG001 - the load of a server that does nothing
    return 0.0


def plan_for(ask: Ask, job: Job, catalog: Resolver, load: Callable[[ModelSpec], float] = idle) -> Plan:
    """Choose the model, the mode and the passes. Raises ModelNotFound or InvalidRequest.

    load: how much of a model is taken, from 0 to 1; it matters to `auto` only. All that the plan costs is worked out by
    its prices, which are the catalog's times the ask's factor.
    """
    if ask.price_factor != 1:
        catalog = Reduced(catalog, ask.price_factor)
    model, suffix, (spec, price) = known_to(ask.caller.models, ask.model, job.task, catalog)
    asked = ask.quality or suffix or Quality.AUTO
    modes = spec.quality_for(job.task)
    if modes is None:
        choice = Choice(ask, model, spec, price, Quality.MEDIUM, "this model has one mode", chosen=True)
    elif asked is Quality.AUTO:
        mode, reason = choose(job, modes.auto, load(spec), streamed=ask.streamed)
        choice = Choice(ask, model, spec, price, mode, reason, chosen=True, modes=modes)
    else:
        choice = Choice(ask, model, spec, price, asked, "asked for", modes=modes)
    return TASKS[job.task].plan(choice, job, catalog)


def known_to(
    allowed: frozenset[str] | None, name: str, task: Task, catalog: Resolver
) -> tuple[str, Quality | None, tuple[ModelSpec, Price]]:
    """As `named`. allowed: the names that the key may use, None for all; what the error says is no more than such a key
    may know."""
    try:
        return named(name, task, catalog)
    except ModelNotFound as error:
        if allowed is None:
            raise
        if not allowed.isdisjoint((name, name.rpartition(":")[0])):
            raise error.shown_to(allowed) from None
        # What there is to say of a name that the key may not use is not the key's to know.
        raise ModelNotFound.named(name) from None


def named(name: str, task: Task, catalog: Resolver) -> tuple[str, Quality | None, tuple[ModelSpec, Price]]:
    """The model's public name, the mode that a suffix such as `:ultra` names, and the model with its price.

    A name that is configured as it stands is never cut. Raises ModelNotFound, and InvalidRequest for a suffix that is
    no mode behind a name that is a model.
    """
    try:
        return name, None, catalog.resolve(name, task)
    except ModelNotFound:
        bare, colon, word = name.rpartition(":")
        if not colon:
            raise
        mode = Quality.of(word)
        if mode is not None:
            return bare, mode, catalog.resolve(bare, task)
        try:
            catalog.resolve(bare, task)
        except ModelNotFound:
            pass
        else:
            raise no_mode(word) from None
        raise


def no_mode(word: str) -> InvalidRequest:
    """What is said of a suffix behind a model's name that is no quality mode."""
    return InvalidRequest(f"'{word[:40]}' is no quality mode. Expected {QUALITY_WORDS}.", param="quality")
