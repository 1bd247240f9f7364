"""The vocabulary that every layer shares. Dataclasses only, no third-party import."""

from server.core.ask import Ask, Claim, Priority, new_request_id
from server.core.caller import Caller, Limits
from server.core.events import (
    AudioChunk,
    Event,
    Finish,
    FinishReason,
    Picture,
    PromptTokens,
    ReasoningDelta,
    Segment,
    SpokenDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    TranscriptInfo,
    Word,
)
from server.core.facts import Facts
from server.core.jobs import (
    Aloud,
    AudioFormat,
    ChatJob,
    ImageFormat,
    ImageJob,
    Job,
    Span,
    SpeechJob,
    Tool,
    TranscriptionJob,
)
from server.core.quality import QUALITY_WORDS, Quality
from server.core.sampling import Constraint, Sampling
from server.core.sounds import Sound, sounds_of, with_parts
from server.core.task import Task
from server.core.usage import Usage

__all__ = [
    "QUALITY_WORDS",
    "Aloud",
    "Ask",
    "AudioChunk",
    "AudioFormat",
    "Caller",
    "ChatJob",
    "Claim",
    "Constraint",
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
    "ReasoningDelta",
    "Sampling",
    "Segment",
    "Sound",
    "Span",
    "SpeechJob",
    "SpokenDelta",
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
    "sounds_of",
    "with_parts",
]
