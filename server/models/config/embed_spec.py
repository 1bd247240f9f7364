"""The config of an encoder: a model that embeds, scores pairs or moderates, and what a classifier's labels mean."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from server.core import Category, Task
from server.models.config.model_base import ModelBase
from server.models.config.strict import Strict

Share = Annotated[float, Field(gt=0, le=1)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Categories = Annotated[tuple[Category, ...], BeforeValidator(_listed), Field(min_length=1)]


class LabelsMeaning(Strict):
    """How a classifier's labels become the categories of /v1/moderations."""

    categories: dict[str, Categories] = Field(
        min_length=1,
        description="by label, as the model's config.json names it: the category that it is a sign of, or a list of "
        "them; labels that are not named, such as one for harmless texts, count for nothing, and a category without a "
        "label is never flagged",
    )
    threshold: Share = Field(default=0.5, description="a category whose score is at least this is flagged")
    thresholds: dict[Category, Share] = Field(
        default_factory=dict, description="the same, of the categories that need another one"
    )
    activation: Literal["sigmoid", "softmax"] | None = Field(
        default=None,
        description="how outputs become scores: sigmoid where a text may have several labels, softmax where it has "
        "one; null: as the model's config.json says by problem_type",
    )

    @model_validator(mode="after")
    def _thresholds_of_something(self) -> Self:
        having = {category for categories in self.categories.values() for category in categories}
        if lost := sorted(set(self.thresholds) - having):
            raise ValueError(f"thresholds names {' and '.join(lost)}, for which there is no label")
        return self


class EmbedModel(ModelBase):
    """A small encoder, an ONNX graph with its tokenizer.json, run by onnxruntime on the processor in a worker process.

    How tokens become a vector is read from the folder, in the form of sentence-transformers: modules.json, 1_Pooling.
    """

    engine: Literal["embed"]
    cross_encoder: bool = Field(
        default=False,
        description="the model reads a query and a document at once and scores the pair; it embeds nothing",
    )
    moderation: LabelsMeaning | None = Field(
        default=None,
        description="the model is a classifier that moderates texts, and its labels mean this; it does nothing else",
    )
    file: str | None = Field(
        default=None, description="the graph, relative to the model's path; null: model.onnx or onnx/model.onnx"
    )
    max_tokens: int | None = Field(
        default=None, ge=8, description="tokens read at once; null: as many as the model's own files say"
    )
    windows: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="a longer text is read in up to so many parts, whose vectors are averaged by their lengths; 1: a "
        "longer text is a 400. Of a classifier that moderates, each score is the highest of the parts'",
    )
    normalize: bool | None = Field(default=None, description="vectors of length 1; null: as the model's own files say")
    dimensions: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        description="lengths that vectors may be cut to, for a model that was trained for it (Matryoshka); empty: "
        "those that its config.json names, which is none for most",
    )
    tokens_at_once: int = Field(
        default=1024, ge=1, description="of all texts that are read in one run, padding included; a long one has more"
    )
    threads: int = Field(default=0, ge=0, description="processor threads; 0: all cores")

    @property
    def tasks(self) -> tuple[Task, ...]:
        if self.moderation is not None:
            return (Task.MODERATION,)
        return (Task.SCORE,) if self.cross_encoder else (Task.EMBEDDING, Task.SCORE)

    @property
    def parallel(self) -> int:
        # Their texts are read together.
        return 32

    @model_validator(mode="after")
    def _pairs_have_one_window(self) -> Self:
        if self.cross_encoder and (self.windows > 1 or self.dimensions):
            raise ValueError("a cross-encoder has no vectors: windows and dimensions are for models that embed")
        return self

    @model_validator(mode="after")
    def _classifiers_only_moderate(self) -> Self:
        if self.moderation is not None and (self.cross_encoder or self.dimensions or self.normalize is not None):
            message = "a classifier that moderates has no vectors and scores no pairs: "
            raise ValueError(message + "cross_encoder, dimensions and normalize are for other models")
        return self
