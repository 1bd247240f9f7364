"""What a model can be asked to do."""

from enum import StrEnum


class Task(StrEnum):
    """What a model can be asked to do. Translation is transcription into English."""

    CHAT = "chat"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"
    EMBEDDING = "embedding"
    SCORE = "score"
