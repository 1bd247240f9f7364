"""Transcripts, speech and voices, as the OpenAI API has them."""

from typing import Literal

from pydantic import Field

from server.api.answers.base import Answer, Extras


class Seconds(Extras):
    """What is billed: seconds of audio, begun ones counted whole."""

    type: Literal["duration"]
    seconds: int


class Transcript(Answer):
    """task, language and duration, and segments and words as asked: of the form verbose_json."""

    text: str
    usage: Seconds


class Word(Answer):
    """start, end: seconds."""

    word: str
    start: float
    end: float


class Segment(Answer):
    """start, end: seconds; seek: frames."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscript(Answer):
    """The form verbose_json. language: its English name; duration: seconds."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    words: list[Word] = Field(default_factory=list)
    segments: list[Segment] = Field(default_factory=list)
    usage: Seconds


class TranscriptDelta(Answer):
    """A piece of the text, as it is heard."""

    type: Literal["transcript.text.delta"]
    delta: str


class TranscriptSegment(Segment):
    """A segment as it is heard, of a stream of the form verbose_json. words: where they are asked for."""

    type: Literal["transcript.text.segment"]
    words: list[Word] = Field(default_factory=list)


class TranscriptDone(Extras):
    """The whole text. seconds: what is billed. The others: of the form verbose_json."""

    type: Literal["transcript.text.done"]
    text: str
    seconds: int
    task: Literal["transcribe", "translate"] | None = None
    language: str = ""
    duration: float = 0
    words: list[Word] = Field(default_factory=list)
    segments: list[Segment] = Field(default_factory=list)


class SpeechDelta(Answer):
    """audio: base64."""

    type: Literal["speech.audio.delta"]
    audio: str


class SpeechUsage(Extras):
    """input_tokens, characters: what is billed. seconds: of the audio, where it is known."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    characters: int
    seconds: float | None


class SpeechDone(Answer):
    type: Literal["speech.audio.done"]
    usage: SpeechUsage


class Voice(Answer):
    """id, name: what `voice` may be. voice: the installed one that speaks."""

    id: str
    name: str
    voice: str = ""
    language: str = ""
    description: str = ""


class Voices(Answer):
    voices: list[Voice]


class SpeechModel(Answer):
    id: str
    name: str


class SpeechModels(Answer):
    models: list[SpeechModel]
