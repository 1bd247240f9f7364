"""What an engine answers a job with.

A stream of events is the task's own events, then exactly one `Usage`. Events cross process borders by pickle.
"""

from dataclasses import dataclass
from typing import Literal

from server.core.usage import Usage


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, sampled or read, its log-probability in nats, and the likeliest alternatives at its place.

    id: in the model's vocabulary; None where the engine has none. rank: 1 for the likeliest at its place; None where
    nobody counted.
    """

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top: tuple["TokenLogprob", ...] = ()
    id: int | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """What was read, before anything is said; only where the job asks for it. prompt: its number, from 0.

    logprobs: of each token given those before it, so the first has none; None where they were not asked for.
    text: what the job asks to have echoed, and tokens: its tokens' own texts; None where it does not ask.
    """

    prompt: int
    ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob | None, ...] | None = None
    text: str | None = None
    tokens: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A prompt's tokens. context: the model's, in tokens. strings: as the vocabulary spells them, if asked for."""

    ids: tuple[int, ...]
    context: int
    strings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Detokenized:
    """The text that token ids stand for."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of choice `index`'s answer. tokens: how many the model generated since the choice's last event.

    The counts make a stream that is cut short billable: see `Usage`. ids: of the piece's tokens, where the job asks.
    """

    index: int
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None
    tokens: int = 0
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class SpokenDelta:
    """A piece of choice `index`'s answer that is also spoken: its audio follows, as `AudioChunk`s."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of choice `index`'s reasoning, for models that keep it apart from the answer."""

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
class Read:
    """How many of the prompt's tokens were read since the last such event: of work that is paid by what it reads.

    It makes work that is cut short billable, and does not come with the last of them; see `Usage`.
    """

    tokens: int


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of all inputs, in their order: float32, little-endian, `dimensions` of them for each input."""

    data: bytes
    dimensions: int


ScoreMethod = Literal["cross-encoder", "embedding"]


@dataclass(frozen=True, slots=True)
class Scores:
    """How well each document answers its query, the more the better.

    method: `cross-encoder` for a model that reads both at once, 0 to 1; `embedding` for the cosine of the two's
    vectors, -1 to 1.
    """

    values: tuple[float, ...]
    method: ScoreMethod


Event = (
    PromptTokens
    | Tokenized
    | Detokenized
    | TextDelta
    | SpokenDelta
    | ReasoningDelta
    | ToolCallDelta
    | Finish
    | TranscriptInfo
    | Segment
    | AudioChunk
    | Picture
    | Read
    | Embeddings
    | Scores
    | Usage
)
