"""What a job used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job used, of whichever kind applies. The last event of every stream that ends well.

    audio_tokens, image_tokens: those of the prompt's that stand for sounds and pictures; `prompt_tokens` has them too.

    For a stream that is cut short the pipeline adds up the counts of its events (server/pipeline/metering.py).
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    audio_seconds: float = 0.0
    characters: int = 0
    images: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Both together; of the details, the later's."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.audio_seconds + other.audio_seconds,
            self.characters + other.characters,
            self.images + other.images,
            self.audio_tokens + other.audio_tokens,
            self.image_tokens + other.image_tokens,
            {**self.details, **other.details},
        )
