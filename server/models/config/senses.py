"""What a chat model hears and how it speaks, by itself or by other models."""

from pydantic import Field

from server.models.config.model_base import Name
from server.models.config.strict import Strict


class Senses(Strict):
    """Fields of every chat model's config. A public name that transcribes or speaks needs no other model for it."""

    audio: bool = Field(default=False, description="whether the model itself hears input_audio parts")
    transcriber: Name | None = Field(
        default=None,
        description="transcription model that hears input_audio parts for a model without ears, where the public name "
        "has none of its own",
    )
    voice: Name | None = Field(
        default=None,
        description="speech model that speaks answers (modalities: [text, audio]), where the public name has none of "
        "its own",
    )
    max_audio_seconds: float = Field(
        default=600.0, gt=0, description="most seconds of sound in a request's messages together"
    )
