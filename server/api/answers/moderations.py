"""What texts are flagged for."""

from typing import Generic, Literal, TypeVar

from pydantic import Field

from server.api.answers.base import Answer
from server.api.answers.embeddings import TextUsage

T = TypeVar("T")


class ByCategory(Answer, Generic[T]):
    """Something of each of the OpenAI API's categories."""

    harassment: T
    harassment_threatening: T = Field(alias="harassment/threatening")
    hate: T
    hate_threatening: T = Field(alias="hate/threatening")
    illicit: T
    illicit_violent: T = Field(alias="illicit/violent")
    self_harm: T = Field(alias="self-harm")
    self_harm_intent: T = Field(alias="self-harm/intent")
    self_harm_instructions: T = Field(alias="self-harm/instructions")
    sexual: T
    sexual_minors: T = Field(alias="sexual/minors")
    violence: T
    violence_graphic: T = Field(alias="violence/graphic")


class Verdict(Answer):
    """category_applied_input_types: `text` for the categories that the model looks for, nothing for the others, whose
    score is 0."""

    flagged: bool
    categories: ByCategory[bool]
    category_scores: ByCategory[float]
    category_applied_input_types: ByCategory[list[Literal["text"]]]


class ModerationList(Answer):
    """A verdict for each text, in their order; one for all parts of an input that comes in parts."""

    id: str
    model: str
    results: list[Verdict]
    usage: TextUsage
