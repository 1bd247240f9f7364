"""The vocabulary that every layer shares: jobs, events, usage, callers. Dataclasses only, no third-party import.

A *job* is what a client asked for, parsed once from whichever dialect it spoke. An engine answers a job with a
stream of *events*: exactly one `Accepted` first (everything that deserves an HTTP status has happened by then),
then the task's own events, then exactly one `Usage` last. Jobs and events cross process borders by pickle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal


class Task(StrEnum):
    """What a model can be asked to do. Translation is transcription into English."""

    CHAT = "chat"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"


# ---------------------------------------------------------------- callers


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a key or an account may go; None is without limit. Tokens are those used, not those asked for."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as authenticated: an API key and the account it draws on.

    models: public names that the key may use, None for all. metered: whether the account pays with credits.
    limits, account_limits: both apply, the account's to all of its keys together.
    """

    key_id: str
    account_id: str
    scopes: frozenset[str] = frozenset({"inference"})
    models: frozenset[str] | None = None
    metered: bool = False
    limits: Limits = Limits()
    account_limits: Limits = Limits()


# ---------------------------------------------------------------- jobs


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters` is a JSON Schema, or None for no arguments."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob:
    """One chat completion, in the words of the OpenAI API; None means "as the model's config says".

    messages: OpenAI message objects, with roles system, user, assistant and tool only (the dialects map
      `developer` and `function` onto these) and image inputs already as data URIs.
    tool_choice: none, auto, required, or the name of the one function that must be called.
    output_schema: a JSON Schema the answer must obey; `{"type": "object"}` for JSON mode; None for free text.
    top_logprobs: alternatives per token, 0–20; None for no log-probabilities at all.
    """

    task: ClassVar[Task] = Task.CHAT
    model: str
    messages: tuple[Mapping[str, Any], ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    top_logprobs: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | tuple[str] = "none"
    parallel_tool_calls: bool = True
    output_schema: Mapping[str, Any] | None = None
    reasoning_effort: str | None = None
    # vLLM's sampling extras, which its users send through extra_body
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    min_tokens: int | None = None
    ignore_eos: bool = False
    chat_template_kwargs: Mapping[str, Any] | None = None

    @property
    def forced_tool(self) -> str | None:
        """The name of the one function that must be called, if the client forced one."""
        return self.tool_choice[0] if isinstance(self.tool_choice, tuple) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionJob:
    """Speech to text. `audio` is a file as uploaded, in any container FFmpeg's libraries read.

    language: ISO-639-1 code, or None to detect it. translate: the text comes out in English.
    temperature: None lets the engine fall back over its own ladder; a number fixes it.
    """

    task: ClassVar[Task] = Task.TRANSCRIPTION
    model: str
    audio: bytes
    filename: str = "audio"
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    words: bool = False
    translate: bool = False


AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechJob:
    """Text to speech. `voice` is the name as asked; the engine maps it onto an installed voice.

    speed: 0.25–4, 1 is natural. format: of the bytes that come out; pcm is 24 kHz, mono, s16le, no header.
    """

    task: ClassVar[Task] = Task.SPEECH
    model: str
    text: str
    voice: str = "alloy"
    speed: float = 1.0
    format: AudioFormat = "mp3"


ImageFormat = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageJob:
    """Text to image. width and height in pixels, None for the model's own; seed: image i uses seed + i.

    partial_images: previews wanted on the way, 0–3. compression: 0–100, for jpeg and webp.
    """

    task: ClassVar[Task] = Task.IMAGE
    model: str
    prompt: str
    n: int = 1
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str | None = None
    format: ImageFormat = "png"
    compression: int = 100
    partial_images: int = 0


Job = ChatJob | TranscriptionJob | SpeechJob | ImageJob


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Accepted:
    """The engine has read the job and will do it; the work begins when the next event is asked for.

    Errors before this have an HTTP status. room: tokens that each answer may at most have, by the job's limit and
    the model's context; None where tokens mean nothing. audio_seconds: of the audio to be transcribed. limit: lowers
    `room` before the work begins, where the engine can; it never crosses a process border.
    """

    prompt_tokens: int = 0
    room: int | None = None
    audio_seconds: float = 0.0
    limit: Callable[[int], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A sampled token, its log-probability in nats, and the likeliest alternatives at its place."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of choice `index`'s answer. tokens: how many the model generated since the choice's last event.

    The counts make a stream that is cut short billable: see `Usage`.
    """

    index: int
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of choice `index`'s reasoning, for models whose reasoning is told apart from the answer."""

    index: int
    text: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of call number `call` of choice `index`. `id` and `name` come with a call's first piece only."""

    index: int
    call: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    tokens: int = 0


FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Finish:
    """Choice `index` is complete."""

    index: int
    reason: FinishReason
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its place in the audio, seconds from the start."""

    word: str
    start: float
    end: float
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class TranscriptInfo:
    """Facts known before the first segment. language: ISO-639-1; duration: seconds of audio."""

    language: str
    language_probability: float
    duration: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of transcript; fields as in OpenAI's verbose_json. start, end in seconds; seek in frames."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Encoded bytes of speech, ready to send; the concatenation of all chunks is a valid file.

    characters: how many of the text's are spoken with this chunk.
    """

    data: bytes
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image. partial: the preview's number, from 0, or None for the finished image `index`."""

    index: int
    data: bytes
    width: int
    height: int
    partial: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job used, of whichever kind applies. The last event of every stream that ends well.

    For a stream that is cut short the pipeline adds up the counts of its events (server/pipeline/metering.py).
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    audio_seconds: float = 0.0
    characters: int = 0
    images: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


Event = (
    Accepted
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | Finish
    | TranscriptInfo
    | Segment
    | AudioChunk
    | Picture
    | Usage
)
