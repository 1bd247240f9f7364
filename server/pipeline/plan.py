"""What will be done for a job: which model, with which parameters, in which passes. Data only; see modes.py."""

from dataclasses import dataclass, field
from enum import StrEnum

from server.core import Job, Quality
from server.models.config.quality import (
    CandidatesMode,
    ChatMode,
    CheckedMode,
    ImageMode,
    RefinedMode,
    RelistenedMode,
    SpeechMode,
    TakesMode,
    TranscriptionMode,
)
from server.models.config.spec import ModelSpec, Price

Mode = (
    ChatMode
    | CheckedMode
    | RefinedMode
    | TranscriptionMode
    | RelistenedMode
    | SpeechMode
    | TakesMode
    | ImageMode
    | CandidatesMode
)


class Strategy(StrEnum):
    """How the passes follow each other; each is a file in server/pipeline/strategies/, but for the single pass."""

    SINGLE = "single"
    CHECKED = "checked"
    DRAFTS = "drafts"
    REFINED = "refined"
    RELISTENED = "relistened"
    TAKES = "takes"
    CANDIDATES = "candidates"


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """A pass of the work, and the most that it can take; passes after the first may turn out to be unnecessary.

    answers: how many are made at once: drafts, takes, pictures. prompts: how often the request's messages are read.
    reads: answers of full length that each prompt holds besides them; extra: its further tokens at most. writes: tokens
    of each answer at most, None for the request's own limit. job: what is done, where it costs something else than the
    plan's job. by: another model that does it, and its price.
    """

    name: str
    answers: int = 1
    prompts: int = 1
    reads: int = 0
    extra: int = 0
    writes: int | None = None
    job: Job | None = None
    by: tuple[ModelSpec, Price] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run for a job. `job` has the defaults of the model and of the mode filled in.

    limited: whether the client itself limited the answer's length. quality: the mode that is done, never auto;
    reason: why this one, and what was left out of it. mode: its settings. budget: seconds after which no further pass
    is begun.
    """

    spec: ModelSpec
    job: Job
    price: Price
    limited: bool = True
    quality: Quality = Quality.MEDIUM
    reason: str = "asked for"
    strategy: Strategy = Strategy.SINGLE
    mode: Mode = field(default_factory=ChatMode)
    passes: tuple[PlannedPass, ...] = (PlannedPass("answer"),)
    budget: float | None = None

    @property
    def candidates(self) -> int:
        """How many answers are made for each that is given."""
        return max(1, self.passes[0].answers // max(1, getattr(self.job, "n", 1)))
