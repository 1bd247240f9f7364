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


class Quality(StrEnum):
    """How much time a request may take for how good an answer, least first; `auto` leaves the choice to the server."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    ULTRA = "ultra"

    @classmethod
    def of(cls, word: str) -> "Quality | None":
        """The mode that a client's word means, `standard` and `hd` of OpenAI's image clients included."""
        told = word.strip().lower()
        told = {"standard": "medium", "hd": "high"}.get(told, told)
        return next((mode for mode in cls if mode == told), None)


QUALITY_WORDS = "auto, low, medium, high or ultra (standard means medium, hd means high)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What every job has. quality: as the body or a header said it; None leaves it to the name's suffix, or to auto.

    budget: seconds after which no further pass is begun, None for what the model's config says. streamed: whether
    the client wants the answer piece by piece. Engines know nothing of the three.
    """

    model: str
    quality: Quality | None = None
    budget: float | None = None
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters` is a JSON Schema, or None for no arguments."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob(_Asked):
    """One chat completion, in the words of the OpenAI API; None means "as the model's config says".

    messages: OpenAI message objects, with roles system, user, assistant and tool only (the dialects map
      `developer` and `function` onto these) and image inputs already as data URIs.
    tool_choice: none, auto, required, or the name of the one function that must be called.
    output_schema: a JSON Schema the answer must obey; `{"type": "object"}` for JSON mode; None for free text.
    top_logprobs: alternatives per token, 0–20; None for no log-probabilities at all.
    adapter: the LoRA adapter of the model that answers, by its public name; None for the model as it is.
    """

    task: ClassVar[Task] = Task.CHAT
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
    adapter: str | None = None
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


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of audio, seconds from the start, and the text said before it."""

    start: float
    end: float
    context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionJob(_Asked):
    """Speech to text. `audio` is a file as uploaded, in any container FFmpeg's libraries read.

    language: ISO-639-1 code, or None to detect it. translate: the text comes out in English.
    temperature: None lets the engine fall back over its own ladder; a number fixes it; `fallback` False is 0 alone.
    beam_size, vad: None for the model's own. spans: hear these stretches only, each with its own context; the segments
    then come with the number of their span. tempo: spans are slowed to this share of their speed before they are heard;
    the times that are told are those of the recording.
    """

    task: ClassVar[Task] = Task.TRANSCRIPTION
    audio: bytes
    filename: str = "audio"
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    words: bool = False
    translate: bool = False
    beam_size: int | None = None
    fallback: bool = True
    vad: bool | None = None
    spans: tuple[Span, ...] = ()
    tempo: float = 1.0


AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechJob(_Asked):
    """Text to speech. `voice` is the name as asked; the engine maps it onto an installed voice.

    speed: 0.25–4, 1 is natural. format: of the bytes that come out; pcm is 24 kHz, mono, s16le, no header.
    noise_scale, noise_w: variation of the voice and of the lengths of its phonemes; None for the model's own.
    instead: voices to speak with in place of others, by their ids.
    """

    task: ClassVar[Task] = Task.SPEECH
    text: str
    voice: str = "alloy"
    speed: float = 1.0
    format: AudioFormat = "mp3"
    noise_scale: float | None = None
    noise_w: float | None = None
    instead: Mapping[str, str] = field(default_factory=dict)


ImageFormat = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageJob(_Asked):
    """Text to image. width and height in pixels, None for the model's own; seed: image i uses seed + i.

    partial_images: previews wanted on the way, 0–3. compression: 0–100, for jpeg and webp.
    scheduler: a diffusers class, None for the pipeline's own. starts: encoded pictures to begin from, one for each of
    the n, redrawn by `strength`, 0–1, at `enlarge` times the size. score: judge each picture by the model's scorer.
    """

    task: ClassVar[Task] = Task.IMAGE
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
    scheduler: str | None = None
    starts: tuple[bytes, ...] = ()
    strength: float | None = None
    enlarge: float = 1.0
    score: bool = False


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
    span: int | None = None


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Encoded bytes of speech, ready to send; the concatenation of all chunks is a valid file.

    characters: how many of the text's are spoken with this chunk.
    """

    data: bytes
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image. partial: the preview's number, from 0, or None for the finished image `index`.

    score: how well it fits its prompt, the more the better; None where nobody can tell.
    """

    index: int
    data: bytes
    width: int
    height: int
    partial: int | None = None
    seed: int | None = None
    score: float | None = None


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
            {**self.details, **other.details},
        )


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
