"""What clients ask for when they want pictures: drawn from a prompt, edited, or varied."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from server.api.openai.image_upload import Original
from server.api.openai.quality import QualityField
from server.api.validation import Body
from server.core import ImageFormat, ImageJob, Quality
from server.media.image_sizes import Size, parse

_WHOLE = 0.75
"""Strength of an edit of the whole picture: the colours and the place of things are left, and things can change."""
_FAITHFUL = 0.5
"""The same with `input_fidelity: high`."""
_PART = 1.0
"""Strength behind a mask: nothing is left there of what the picture was."""
_VARIED = 0.7
"""Strength of a variation."""


def _words(value: Any) -> Any:
    """`xhigh` and `max` of the newer image models mean ultra. Other routes don't know them."""
    return Quality.ULTRA if isinstance(value, str) and value.strip().lower() in ("xhigh", "max") else value


ImageQualityField = Annotated[QualityField, BeforeValidator(_words)]


class ImageBody(Body):
    """What all three have in common. model: None for the first name that draws.

    `user`, `safety_identifier` and `complexity` are accepted and change nothing.
    """

    model: str | None = Field(None, min_length=1)
    n: int = Field(1, ge=1, le=10)
    size: str = "auto"
    quality: ImageQualityField = None
    response_format: Literal["url", "b64_json"] | None = None
    seed: int | None = Field(None, ge=0, lt=2**63)
    steps: int | None = Field(None, ge=1, le=200)
    guidance: float | None = Field(None, ge=0, le=30, allow_inf_nan=False)
    negative_prompt: str | None = Field(None, max_length=32_000)
    output_format: ImageFormat = "png"
    output_compression: int = Field(100, ge=0, le=100)
    stream: bool = False
    partial_images: int = Field(0, ge=0, le=3)

    @field_validator("size")
    @classmethod
    def _size_is_a_size(cls, size: str) -> str:
        if size != "auto" and parse(size) is None:
            raise ValueError("expected auto, or a width and a height such as 1024x1024")
        return size

    def drawing(self, prompt: str, **more: Any) -> ImageJob:
        """The job of these fields. more: those of ImageJob that the others don't give."""
        width, height = parse(self.size) or (None, None)
        return ImageJob(
            prompt=prompt,
            n=self.n,
            width=width,
            height=height,
            seed=self.seed,
            steps=self.steps,
            guidance=self.guidance,
            negative_prompt=self.negative_prompt or None,
            format=self.output_format,
            compression=self.output_compression,
            partial_images=self.partial_images if self.stream else 0,
            **more,
        )


class PromptedBody(ImageBody):
    """background: `opaque` is kept. Whether a model can draw a `transparent` one is its own affair, and the answer says
    which it is."""

    prompt: str = Field(min_length=1, max_length=32_000)
    background: Literal["transparent", "opaque", "auto"] = "auto"

    @model_validator(mode="after")
    def _transparency_has_a_format(self) -> Self:
        if self.background == "transparent" and self.output_format == "jpeg":
            raise ValueError("a transparent background needs the output_format png or webp")
        return self

    @property
    def opaque(self) -> bool:
        return self.background == "opaque"


class ImageRequest(PromptedBody):
    """POST /v1/images/generations: the OpenAI API's fields, and those of diffusion models: seed, steps, guidance,
    negative_prompt. `style` and `moderation` are accepted and change nothing."""

    style: Literal["vivid", "natural"] | None = None
    moderation: Literal["low", "auto"] = "auto"

    def job(self) -> ImageJob:
        return self.drawing(self.prompt, opaque=self.opaque)


class EditForm(PromptedBody):
    """POST /v1/images/edits: the text fields of the form. strength: how much of the picture is drawn anew, 0.01 to
    1; without it `input_fidelity` says so: `high` leaves more of the picture than `low`, which is the default."""

    input_fidelity: Literal["high", "low"] = "low"
    strength: float | None = Field(None, ge=0.01, le=1, allow_inf_nan=False)

    def job(self, original: Original, mask: bytes | None) -> ImageJob:
        by_fidelity = _FAITHFUL if self.input_fidelity == "high" else _WHOLE
        strength = self.strength or (by_fidelity if mask is None else _PART)
        return self.drawing(self.prompt, opaque=self.opaque, mask=mask, **_begun(original, strength))


class VariationForm(ImageBody):
    """POST /v1/images/variations: no prompt, and otherwise the fields of edits, of which the OpenAI API has some."""

    strength: float | None = Field(None, ge=0.01, le=1, allow_inf_nan=False)

    def job(self, original: Original) -> ImageJob:
        return self.drawing("", **_begun(original, self.strength or _VARIED))


def _begun(original: Original, strength: float) -> dict[str, Any]:
    size: Size = original.size
    return {"starts": (original.data,), "start_size": size, "strength": strength}
