"""The `quality:` part of a model config: what low, medium, high and ultra mean on this model, and what auto may choose.

Each quality is one Mode, which is a group of settings. What a client says itself always wins over these.
`server/pipeline/` makes a plan of them.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from server.core import Quality, Task
from server.models.config.strict import Strict

ChosenQuality = Literal[Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.ULTRA]
"""A quality that can be worked by: `auto` has been turned into one of these."""

Scheduler = Literal[
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LCMScheduler",
    "UniPCMultistepScheduler",
]
"""Schedulers of diffusers that can take one another's config, so that a model's own may be exchanged for them."""


Cause = Literal["code", "arithmetic", "length"]
"""What of a request can make auto take high: only chats have the first two."""


class Auto(Strict):
    """The qualities that auto may choose between, what makes it take high, and when a model counts as busy.

    It never takes ultra, which costs several times as much: that is the client's to ask for.
    """

    lowest: ChosenQuality = Quality.LOW
    highest: ChosenQuality = Quality.HIGH
    high_for: tuple[Cause, ...] = Field(
        default=("code", "arithmetic", "length"),
        description="what of a request makes it take high: that for which high is better than medium on this model",
    )
    busy: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="share of the requests a model works on at once, from which auto takes one quality less",
    )
    long: int = Field(default=2000, ge=1, description="characters from which a prompt counts as long")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if RANKS.index(self.lowest) > RANKS.index(self.highest):
            raise ValueError("lowest is above highest")
        return self


RANKS: tuple[ChosenQuality, ...] = (Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.ULTRA)
"""The qualities, least first."""


# ---------------------------------------------------------------- chat


class ChatMode(Strict):
    """One pass with these settings, where the client gave none."""

    max_tokens: int | None = Field(
        default=None, ge=1, description="limit of generated tokens; null: that of the model's `defaults`"
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    reasoning: bool | None = Field(
        default=None, description="reasoning on or off, by the model's `reasoning_switch`; null leaves it alone"
    )


class CheckedMode(ChatMode):
    """A draft, and a pass in which the model reads it and keeps or replaces it."""

    check: bool = Field(default=True, description="false: the draft is the answer")
    keep_above: float = Field(
        default=0.2, ge=0, le=1, description="the draft is kept where the model gives the word OK this probability"
    )


class RefinedMode(ChatMode):
    """Drafts at once until their vote is settled, the best of them chosen, criticised and written anew, and the better
    of the two kept."""

    drafts: int = Field(default=5, ge=1, le=16, description="drafts in one batch; 1: a draft and a check, as in high")
    sure: float = Field(
        default=0.95,
        ge=0.5,
        le=1,
        description="how probable it must be, by the drafts that have ended, that their majority stays, for the others "
        "to be given up; 0.9: three of three, 0.95: four of four; 1: each is waited for",
    )
    enough: int | None = Field(
        default=None, ge=1, description="the others are given up once so many drafts have ended; null: no such number"
    )
    judge: bool = Field(
        default=True, description="false: where too few drafts agree, the likeliest is chosen, and not the best judged"
    )
    rewrite: bool = Field(default=True, description="false: the chosen draft is the answer")
    critique_tokens: int = Field(default=200, ge=1, description="limit of the critique")
    margin: float = Field(
        default=0.1, ge=0, le=1, description="how much more probably right the rewrite must be, to be kept"
    )
    budget: float = Field(default=120, gt=0, description="seconds after which the best so far is the answer")

    @model_validator(mode="after")
    def _of_those_begun(self) -> Self:
        if self.enough is not None and self.enough > self.drafts:
            raise ValueError(f"enough is {self.enough}, but there are {self.drafts} drafts")
        return self


class ChatQuality(Strict):
    """What each quality means on a chat model."""

    reasoning_switch: str | None = Field(
        default=None,
        description="the chat template's argument that turns reasoning on and off, such as enable_thinking",
    )
    low: ChatMode = ChatMode(max_tokens=128, temperature=0.2, reasoning=False)
    medium: ChatMode = ChatMode()
    high: CheckedMode = CheckedMode(max_tokens=1024, temperature=0.4, reasoning=True)
    ultra: RefinedMode = RefinedMode(max_tokens=1024, temperature=0.7, reasoning=True)
    auto: Auto = Auto()


# ---------------------------------------------------------------- transcription


class TranscriptionMode(Strict):
    """One pass with these settings; null: the model's own."""

    beam_size: int | None = Field(default=None, ge=1, le=20)
    fallback: bool = Field(default=True, description="raise the temperature where a stretch does not come out well")
    vad: bool | None = None


class RelistenedMode(TranscriptionMode):
    """A second pass over what the first was not sure of, slowed and with the text before it as context; of each
    stretch the more probable hearing is kept."""

    unsure: float = Field(
        default=-0.5, le=0, description="mean log-probability of a segment's tokens below which it is heard again"
    )
    second_beam: int = Field(default=5, ge=1, le=20, description="beam of the second pass")
    tempo: float = Field(default=0.7, ge=0.5, le=1, description="share of its speed at which it is heard again")
    padding: float = Field(default=0.3, ge=0, le=5, description="seconds heard before and after a segment")
    budget: float = Field(default=300, gt=0, description="seconds after which no second pass is begun")


class TranscriptionQuality(Strict):
    """What each quality means on a transcription model."""

    low: TranscriptionMode = TranscriptionMode(beam_size=1, fallback=False)
    medium: TranscriptionMode = TranscriptionMode()
    high: TranscriptionMode = TranscriptionMode(beam_size=5, vad=True)
    ultra: RelistenedMode = RelistenedMode(beam_size=5, vad=True)
    auto: Auto = Auto()


# ---------------------------------------------------------------- speech


class SpeechMode(Strict):
    """One take with these settings; null: the model's own, and where that is silent too, the voice's."""

    noise_scale: float | None = Field(default=None, ge=0, le=2, description="variation of the voice")
    noise_w: float | None = Field(default=None, ge=0, le=2, description="variation of the lengths of phonemes")
    voices: dict[str, str] = Field(
        default_factory=dict, description="voices to speak with instead, by their ids: a smaller file for low, say"
    )


class TakesMode(SpeechMode):
    """Several takes, each read back by a transcription model; the one that is understood best is sent."""

    takes: int = Field(default=4, ge=1, le=16)
    transcriber: str | None = Field(
        default=None, description="name of the transcription model that reads the takes back; null: the first take"
    )
    budget: float = Field(default=60, gt=0, description="seconds after which no further take is begun")


class SpeechQuality(Strict):
    """What each quality means on a speech model."""

    low: SpeechMode = SpeechMode()
    medium: SpeechMode = SpeechMode()
    high: SpeechMode = SpeechMode()
    ultra: TakesMode = TakesMode()
    auto: Auto = Auto()

    def named_voices(self) -> Iterator[tuple[str, str]]:
        """Each quality with each voice that its mode mentions: all of them must be installed."""
        for quality in RANKS:
            mode: SpeechMode = getattr(self, quality)
            for asked, spoken in mode.voices.items():
                yield quality, asked
                yield quality, spoken


# ---------------------------------------------------------------- images


class ImageMode(Strict):
    """One drawing with these settings; null: the model's own."""

    effort: float = Field(default=1, gt=0, le=10, description="times the model's own steps, where `steps` is null")
    steps: int | None = Field(default=None, ge=1, le=200)
    guidance: float | None = Field(default=None, ge=0, le=30)
    scheduler: Scheduler | None = None


class CandidatesMode(ImageMode):
    """Several candidates, the best of them drawn over once more at a higher resolution."""

    candidates: int = Field(default=4, ge=1, le=16, description="pictures drawn for each that is asked for")
    refine: float = Field(
        default=0.3, ge=0, le=1, description="strength of the img2img pass over the best; 0: the best is the answer"
    )
    enlarge: float = Field(
        default=1.5, ge=1, le=4, description="times the model's own size at which the img2img pass works"
    )
    budget: float = Field(default=300, gt=0, description="seconds after which the best so far is the answer")


class ImageQuality(Strict):
    """What each quality means on an image model."""

    low: ImageMode = ImageMode(effort=0.5)
    medium: ImageMode = ImageMode()
    high: ImageMode = ImageMode(effort=1.5)
    ultra: CandidatesMode = CandidatesMode(effort=1.5)
    auto: Auto = Auto()


AnyQuality = ChatQuality | TranscriptionQuality | SpeechQuality | ImageQuality

QUALITY_OF: Mapping[Task, type[AnyQuality]] = MappingProxyType(
    {
        Task.CHAT: ChatQuality,
        Task.TRANSCRIPTION: TranscriptionQuality,
        Task.SPEECH: SpeechQuality,
        Task.IMAGE: ImageQuality,
    }
)
"""What `quality` holds for a task. A task that is missing is done in one way only, whatever quality is asked for."""
