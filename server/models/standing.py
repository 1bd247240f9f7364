"""Where a model stands, as people and other parts of the server see it. Nothing is decided by it."""

from dataclasses import dataclass
from enum import StrEnum

from server.engines.base import Footprint, PrefixCache
from server.models.slot import State


class Phase(StrEnum):
    """What a load or a wake is at, in words for people."""

    FILES = "looking at its files"
    MEMORY = "waiting for memory"
    TURN = "waiting for another model to load"
    START = "starting"
    WAKE = "waking"
    CHECK = "checking its answers"


@dataclass(frozen=True, slots=True)
class Loading:
    """A load or wake under way. seconds: since it began."""

    phase: Phase
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands, for /v1/models, /ready, the metrics and operators.

    reason: why it failed. refusal: why the last load was given up although nothing is wrong with the model. places:
    requests that it works on at once. held: by the ledger; reported: by the machine, a while ago. prefix_cache: None
    where the engine has none, or is not loaded. context: tokens that a prompt and its answer may have together, once
    that is known.
    """

    state: State
    reason: str | None
    refusal: str | None
    eager: bool
    running: int
    waiting: int
    places: int
    held: Footprint
    reported: Footprint
    prefix_cache: PrefixCache | None
    context: int | None
    loading: Loading | None
