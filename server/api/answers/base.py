"""What answers have in common."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Answer(BaseModel):
    """Every field is declared, and there unless it has a default."""

    model_config = ConfigDict(extra="forbid")


class Listing(Answer, Generic[T]):
    """As the OpenAI API lists things."""

    object: Literal["list"]
    data: list[T]


class PassUsage(Answer):
    """What one pass of a quality mode used. Seconds, characters and images are there where there are any."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    name: str = Field(alias="pass")
    prompt_tokens: int
    completion_tokens: int
    audio_seconds: float = 0
    characters: int = 0
    images: int = 0


class QualityDraft(Answer):
    """A text that was written on the way to an answer. pass: the one that wrote it. votes: how many drafts come to the
    same final answer. right: the model's own probability that it is right. likelihood: its log-probability in nats,
    made comparable between lengths. chosen: whether it is the answer."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    name: str = Field(alias="pass")
    text: str
    chosen: bool
    votes: int = 0
    right: float = 0
    likelihood: float = 0


class QualityUsage(Answer):
    """How an answer was made: by which mode, in how many passes, from how many candidates. Not in the OpenAI API.

    drafts: of a chat, with `return_drafts`."""

    mode: Literal["low", "medium", "high", "ultra"]
    passes: int
    candidates: int
    tokens_by_pass: list[PassUsage]
    notes: list[str] = Field(default_factory=list)
    drafts: list[QualityDraft] = Field(default_factory=list)


class Extras(Answer):
    """What this server adds to the OpenAI API's usage objects. credits: what the account paid, where it is metered."""

    credits: float = 0
    quality: QualityUsage
