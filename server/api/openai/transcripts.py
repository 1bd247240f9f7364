"""A transcript, gathered from an engine's events, in each form that the OpenAI API gives it."""

import math
from dataclasses import dataclass, field
from typing import Any

from server.api.openai.languages import name_of
from server.core import Event, Segment, TranscriptInfo, Usage, Word


@dataclass(slots=True)
class Transcript:
    """Grows by `add`, event by event. duration: seconds of audio; language: ISO-639-1; extras: of its usage."""

    language: str = "en"
    duration: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    seconds: float | None = None
    extras: dict[str, Any] = field(default_factory=dict)

    def add(self, event: Event) -> str:
        """Take an event in. Returns the text that it adds, the same that `text` is made of."""
        match event:
            case TranscriptInfo():
                self.language, self.duration = event.language, event.duration
            case Usage():
                self.seconds = event.audio_seconds
            case Segment():
                self.segments.append(event)
                return event.text if len(self.segments) > 1 else event.text.lstrip()
        return ""

    @property
    def text(self) -> str:
        """Whisper's segments bring the space before them, where the language has one."""
        return "".join(segment.text for segment in self.segments).lstrip()

    @property
    def words(self) -> list[Word]:
        return [word for segment in self.segments for word in segment.words]

    def usage(self) -> dict[str, Any]:
        """What is billed: seconds of audio, begun ones counted whole."""
        return {"type": "duration", **self._billed()}

    def _billed(self) -> dict[str, Any]:
        return {"seconds": math.ceil(self.duration if self.seconds is None else self.seconds), **self.extras}

    def json(self) -> dict[str, Any]:
        return {"text": self.text, "usage": self.usage()}

    def done(self) -> dict[str, Any]:
        """The last event of a stream. Its `usage` could only be of tokens, so what is billed stands beside the text."""
        return {"text": self.text, **self._billed()}

    def verbose_json(self, *, task: str, segments: bool, words: bool) -> dict[str, Any]:
        """task: transcribe or translate; a translation's language is the English that it is in."""
        answer: dict[str, Any] = {
            "task": task,
            "language": "english" if task == "translate" else name_of(self.language),
            "duration": round(self.duration, 2),
            "text": self.text,
        }
        if words:
            answer["words"] = [_word(word) for word in self.words]
        if segments:
            answer["segments"] = [_segment(segment) for segment in self.segments]
        return {**answer, "usage": self.usage()}

    def plain(self) -> str:
        return f"{self.text}\n"

    def srt(self) -> str:
        """SubRip: numbered blocks, times as HH:MM:SS,mmm."""
        return "".join(
            f"{number}\n{_time(segment.start, ',')} --> {_time(segment.end, ',')}\n{_cue(segment.text)}\n\n"
            for number, segment in enumerate(self.segments, 1)
        )

    def vtt(self) -> str:
        """WebVTT (https://www.w3.org/TR/webvtt1/): times as HH:MM:SS.mmm, `&` and `<` escaped."""
        cues = (
            f"{_time(segment.start, '.')} --> {_time(segment.end, '.')}\n{_escaped(_cue(segment.text))}\n\n"
            for segment in self.segments
        )
        return "WEBVTT\n\n" + "".join(cues)


def timed_segment(segment: Segment, *, words: bool) -> dict[str, Any]:
    """A segment by itself, as a stream has it. words: with its own, which `verbose_json` has in one list."""
    return {**_segment(segment), **({"words": [_word(word) for word in segment.words]} if words else {})}


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.word.strip(), "start": word.start, "end": word.end}


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"


def _cue(text: str) -> str:
    # An arrow within a cue would be read as a line of times.
    return " ".join(text.split()).replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
