"""Pictures, whole or as events, as the OpenAI API has them."""

from typing import Literal

from server.api.answers.base import Answer, Extras


class InputTokensDetails(Answer):
    text_tokens: int
    image_tokens: int


class ImageCounts(Answer):
    """Pictures are not made of tokens here: `images` says how many there are."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    total_tokens: int
    images: int


class ImageUsage(Extras, ImageCounts):
    pass


class Picture(Answer):
    """A URL that needs no key and lives an hour by default, or the picture itself in base64. seed: draws it again."""

    url: str = ""
    b64_json: str = ""
    seed: int | None


class Looks(Answer):
    """size: width x height. quality: `max` for ultra, which the OpenAI API has no word for."""

    size: str
    output_format: Literal["png", "jpeg", "webp"]
    quality: Literal["low", "medium", "high", "max"]
    background: Literal["transparent", "opaque"]


class Images(Looks):
    created: int
    data: list[Picture]
    usage: ImageUsage


class ImageEvent(Looks):
    """index: which of the pictures."""

    b64_json: str
    created_at: int
    index: int
    seed: int | None


class PartialImage(ImageEvent):
    type: Literal["image_generation.partial_image", "image_edit.partial_image"]
    partial_image_index: int


class CompletedUsage(Extras, ImageCounts):
    """credits: with the last picture, and for all of them."""


class CompletedImage(ImageEvent):
    type: Literal["image_generation.completed", "image_edit.completed"]
    usage: CompletedUsage
