"""The vocabulary that every layer shares. Dataclasses only, no third-party import."""

from server.core.ask import Ask, Claim, Priority, new_request_id
from server.core.caller import Caller, Limits
from server.core.events import (
    AudioChunk,
    Embeddings,
    Event,
    Finish,
    FinishReason,
    Picture,
    PromptTokens,
    Read,
    ReasoningDelta,
    Scores,
    Segment,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    TranscriptInfo,
    Word,
)
from server.core.facts import Facts
from server.core.jobs import (
    AudioFormat,
    ChatJob,
    EmbeddingJob,
    ImageFormat,
    ImageJob,
    Job,
    ScoreJob,
    Span,
    SpeechJob,
    Tool,
    TranscriptionJob,
)
from server.core.quality import QUALITY_WORDS, Quality
from server.core.sampling import Constraint, Sampling
from server.core.task import Task
from server.core.usage import Usage

__all__ = [
    "QUALITY_WORDS",
    "Ask",
    "AudioChunk",
    "AudioFormat",
    "Caller",
    "ChatJob",
    "Claim",
    "Constraint",
    "EmbeddingJob",
    "Embeddings",
    "Event",
    "Facts",
    "Finish",
    "FinishReason",
    "ImageFormat",
    "ImageJob",
    "Job",
    "Limits",
    "Picture",
    "Priority",
    "PromptTokens",
    "Quality",
    "Read",
    "ReasoningDelta",
    "Sampling",
    "ScoreJob",
    "Scores",
    "Segment",
    "Span",
    "SpeechJob",
    "Task",
    "TextDelta",
    "TokenLogprob",
    "Tool",
    "ToolCallDelta",
    "TranscriptInfo",
    "TranscriptionJob",
    "Usage",
    "Word",
    "new_request_id",
]
