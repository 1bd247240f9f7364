"""What an engine knows of a job once it has read it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that deserves a 400 has happened by now, and nothing costly has begun.

    room: tokens that each answer may have at most, by the job's limit and by the model's context; None where the
    answer is not made of tokens. audio_seconds: length of the audio that is to be transcribed. audio_tokens,
    image_tokens: those of the prompt's that stand for sounds and pictures.
    """

    prompt_tokens: int = 0
    room: int | None = None
    audio_seconds: float = 0.0
    audio_tokens: int = 0
    image_tokens: int = 0
