"""The vocabulary that every layer shares. Dataclasses only, no third-party import."""

from server.core.ask import Ask, Claim, Priority, new_request_id
from server.core.caller import Caller, Limits
from server.core.events import (
    AudioChunk,
    Detokenized,
    Event,
    Finish,
    FinishReason,
    Picture,
    PromptTokens,
    ReasoningDelta,
    Segment,
    TextDelta,
    Tokenized,
    TokenLogprob,
    ToolCallDelta,
    TranscriptInfo,
    Word,
)
from server.core.facts import Facts
from server.core.jobs import (
    AudioFormat,
    ChatJob,
    CompletionJob,
    DetokenizeJob,
    ImageFormat,
    ImageJob,
    Job,
    Span,
    SpeechJob,
    TokenizeJob,
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
    "CompletionJob",
    "Constraint",
    "DetokenizeJob",
    "Detokenized",
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
    "Span",
    "SpeechJob",
    "Task",
    "TextDelta",
    "TokenLogprob",
    "TokenizeJob",
    "Tokenized",
    "Tool",
    "ToolCallDelta",
    "TranscriptInfo",
    "TranscriptionJob",
    "Usage",
    "Word",
    "new_request_id",
]
