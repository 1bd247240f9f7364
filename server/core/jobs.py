"""What an engine does: one job a task, parsed once from the client's dialect. Jobs cross process borders by pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from server.core.sampling import Sampling
from server.core.task import Task


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters` is a JSON Schema, or None for no arguments."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool = False


AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


@dataclass(frozen=True, slots=True)
class Aloud:
    """How a chat's answer is spoken: `voice` is the name as asked, `format` that of the audio; see `SpeechJob`."""

    voice: str
    format: AudioFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob(Sampling):
    """One chat completion, in the words of the OpenAI API; None means "as the model's config says".

    messages: OpenAI message objects, with roles system, user, assistant and tool only (the dialects map
      `developer` and `function` onto these), image inputs already as data URIs, and sounds as `input_audio` in base64.
    tool_choice: none, auto, required, or the name of the one function that must be called.
    continue_final_message: the answer goes on with the last message, an assistant's, in place of a turn of its own.
    add_generation_prompt: whether the prompt ends with what begins the assistant's turn.
    documents: what templates for retrieval are given, each an object such as `{"title": …, "text": …}`.
    aloud: how the answer is also spoken, by another model; None for text alone.
    no_default_limit: without max_tokens the answer has the room that is left, whatever the model's config says.
    """

    task: ClassVar[Task] = Task.CHAT
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str | tuple[str] = "none"
    parallel_tool_calls: bool = True
    reasoning_effort: str | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    continue_final_message: bool = False
    add_generation_prompt: bool = True
    documents: tuple[Mapping[str, Any], ...] = ()
    aloud: Aloud | None = None
    no_default_limit: bool = False

    @property
    def forced_tool(self) -> str | None:
        """The name of the one function that must be called, if the client forced one."""
        return self.tool_choice[0] if isinstance(self.tool_choice, tuple) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionJob(Sampling):
    """Texts that go on, in the words of the OpenAI API's older endpoint.

    prompts: each a text, or token ids. Choice i of prompt p has the index p·n + i. A text is encoded with special
      tokens: whoever writes raw prompts writes `<|im_start|>` because it is one. An empty text is the beginning of a
      document.
    suffix: what comes after the text that is wanted, for models with fill-in-the-middle.
    echo: the prompts' own text, and its log-probabilities where there are any, come as `PromptTokens`.
    best_of: choices drawn for each prompt, of which the n likeliest are the answer.
    add_special_tokens: whether a text gets what the tokenizer puts before it, such as BOS.
    max_tokens: 0 only reads the prompts.
    """

    task: ClassVar[Task] = Task.COMPLETION
    prompts: tuple[str | tuple[int, ...], ...]
    suffix: str | None = None
    echo: bool = False
    best_of: int | None = None
    add_special_tokens: bool = True

    @property
    def answers(self) -> int:
        """Choices of all prompts together."""
        return len(self.prompts) * self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeJob:
    """The tokens that the first prompt of a completion, or a chat, would be read as. strings: their spelling too."""

    task: ClassVar[Task] = Task.TOKENIZE
    of: ChatJob | CompletionJob
    strings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DetokenizeJob:
    """The text of token ids, special tokens included."""

    task: ClassVar[Task] = Task.TOKENIZE
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of audio, seconds from the start, and the text said before it."""

    start: float
    end: float
    context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionJob:
    """Speech to text. `audio` is a file as uploaded, in any container FFmpeg's libraries read.

    language: ISO-639-1 code, or None to detect it. translate: the text comes out in English.
    temperature: None lets the engine fall back over its own ladder; a number fixes it; `fallback` False is 0 alone.
    beam_size, vad: None for the model's own. spans: hear these stretches only, each with its own context; the segments
    then come with the number of their span. tempo: spans are slowed to this share of their speed before they are heard;
    times stay those of the recording.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechJob:
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
class ImageJob:
    """Text to image, or a picture redrawn. width and height in pixels, None for the model's own, or for that of its
    sizes which is nearest to the start's; seed: image i uses seed + i.

    partial_images: previews wanted on the way, 0–3. compression: 0–100, for jpeg and webp. opaque: no transparency.
    scheduler: a diffusers class, None for the pipeline's own. starts: encoded RGB pictures to begin from, one for all
    or one for each of the n, redrawn by `strength`, 0–1, at `enlarge` times the size. start_size: width and height of
    what the client sent to begin from. mask: an encoded grey picture of the starts' size, 255 where they are redrawn
    and 0 where they stay as they are; pictures then have the starts' size where none is asked for.
    score: judge each picture by the model's scorer.
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
    opaque: bool = False
    starts: tuple[bytes, ...] = ()
    start_size: tuple[int, int] | None = None
    mask: bytes | None = None
    strength: float | None = None
    enlarge: float = 1.0
    score: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingJob:
    """Texts to vectors. An input is a text, or the ids that cl100k_base gives it, of which the text is made again.

    dimensions: length of the vectors; None for the model's own.
    truncate: tokens that are read of a longer text, -1 for what the model reads at once; None reads all of it.
    truncation_side: the end that is cut off.
    """

    task: ClassVar[Task] = Task.EMBEDDING
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    truncate: int | None = None
    truncation_side: Literal["left", "right"] = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob:
    """How well documents answer queries: one query for all documents, or as many as there are documents.

    truncate: as in EmbeddingJob, of a query and its document together where one model reads both.
    query_tokens, document_tokens: tokens that are read of each at most; None for all.
    names: what the client calls queries and documents, for messages.
    """

    task: ClassVar[Task] = Task.SCORE
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    truncate: int | None = None
    truncation_side: Literal["left", "right"] = "right"
    query_tokens: int | None = None
    document_tokens: int | None = None
    names: tuple[str, str] = ("query", "documents")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationJob:
    """Texts that are looked through for what the categories of moderation.py are about. No part of one is left out."""

    task: ClassVar[Task] = Task.MODERATION
    inputs: tuple[str, ...]


Job = (
    ChatJob
    | CompletionJob
    | TokenizeJob
    | DetokenizeJob
    | TranscriptionJob
    | SpeechJob
    | ImageJob
    | EmbeddingJob
    | ScoreJob
    | ModerationJob
)
