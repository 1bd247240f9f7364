"""What a model can be asked to do."""

from enum import StrEnum


class Task(StrEnum):
    """What a model can be asked to do. Translation is transcription into English.

    Completion is a text that goes on, without turns or a template; tokenize is text to token ids and back.
    """

    CHAT = "chat"
    COMPLETION = "completion"
    TOKENIZE = "tokenize"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"
    EMBEDDING = "embedding"
    SCORE = "score"
