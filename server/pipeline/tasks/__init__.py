"""One file a task: all that planning, bounding, pricing and auto need of it."""

from collections.abc import Mapping
from typing import Any

from server.core import Task
from server.pipeline.tasks.base import TaskRules
from server.pipeline.tasks.chat import ChatRules
from server.pipeline.tasks.completion import CompletionRules
from server.pipeline.tasks.embedding import EmbeddingRules
from server.pipeline.tasks.image import ImageRules
from server.pipeline.tasks.score import ScoreRules
from server.pipeline.tasks.speech import SpeechRules
from server.pipeline.tasks.tokenize import TokenizeRules
from server.pipeline.tasks.transcription import TranscriptionRules

TASKS: Mapping[Task, TaskRules[Any]] = {
    Task.CHAT: ChatRules(),
    Task.COMPLETION: CompletionRules(),
    Task.TOKENIZE: TokenizeRules(),
    Task.TRANSCRIPTION: TranscriptionRules(),
    Task.SPEECH: SpeechRules(),
    Task.IMAGE: ImageRules(),
    Task.EMBEDDING: EmbeddingRules(),
    Task.SCORE: ScoreRules(),
}
