"""A transcription job that has been read: its audio is open, and its beginning decoded."""

import re
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from server.core import Event, Facts, Segment, TranscriptInfo, TranscriptionJob, Usage, Word
from server.engines.whisper.ahead import ahead
from server.engines.whisper.windows import LONGEST, REST, Wave
from server.errors import InvalidRequest
from server.media.audio_decode import RATE, AudioFile, Samples
from server.media.audio_tempo import slowed

if TYPE_CHECKING:
    from server.engines.whisper.handler import WhisperHandler

PIECE = 300.0
"""Seconds of audio that are decoded at once of a file that says to be shorter: bounds memory."""

_STEP = 60 * RATE
"""Samples decoded between two looks at whether the job was cancelled: well under a second of work."""

_FRAMES_PER_SECOND = 100
"""Whisper's mel frames, the unit of `Segment.seek`."""

_SPECIAL_TOKEN = re.compile(r"<\|[^|]*\|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """What Whisper hears at once. start, end: in the recording, in samples; the wave is longer where it is slowed.

    duration: of the recording in seconds, as far as it is known. span: its number among the job's, if it is one.
    """

    wave: Wave
    start: int
    end: int
    duration: float
    prompt: str | None
    span: int | None = None
    first: bool
    last: bool


class _Hearing:
    """A job whose windows are heard several at once. The first one's language is that of all."""

    def __init__(self, model: "WhisperHandler", job: TranscriptionJob, audio: AudioFile) -> None:
        self._model = model
        self._job = job
        self._audio = audio
        self._language: Future[str] = Future()

    def close(self) -> None:
        self._audio.close()

    def _windows(self) -> Iterator[_Window | None]:
        """None after a step of reading."""
        raise NotImplementedError

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - text has no limit here
        """TranscriptInfo, Segments in order of time with the numbers of their spans, Usage with the seconds heard."""
        number = samples = 0

        def counted() -> Iterator[_Window | None]:
            nonlocal samples
            for window in self._windows():
                samples += window.end - window.start if window else 0
                yield window

        for event in ahead(counted(), self._heard, self._model.ahead):
            if isinstance(event, Segment):
                yield replace(event, id=number)
                number += 1
            else:
                yield event
        yield Usage(audio_seconds=samples / RATE)

    def _heard(self, window: _Window) -> Iterator[TranscriptInfo | Segment]:
        """TranscriptInfo of the first window, and its segments, none of which is numbered yet."""
        language = "en" if self._model.english_only else self._job.language
        try:
            if not window.first:
                language = self._language.result()
            segments, info = self._model.decode(self._job, window.wave, language, window.prompt, first=window.first)
            if window.first:
                self._language.set_result(info.language)
        except BaseException as error:
            if window.first:
                self._language.set_exception(error)
            raise
        if window.first:
            yield TranscriptInfo(info.language, float(info.language_probability), window.duration)
        for raw in segments:
            if not self._model.invented(raw, window.wave):
                yield _segment(
                    raw,
                    window.start / RATE,
                    window.end / RATE,
                    tempo=self._job.tempo if self._job.spans else 1.0,
                    span=window.span,
                )


class Recording(_Hearing):
    """All of a recording, cut in its pauses."""

    def __init__(self, model: "WhisperHandler", job: TranscriptionJob, audio: AudioFile) -> None:
        """Decode the first minute, or all of a file that says to be shorter than a piece. Raises InvalidRequest.

        What a job is held for, and so pays at most, is the length that the file claims, or as much of it as is decoded
        here: a file of minutes that claims seconds would be cheap otherwise.
        """
        super().__init__(model, job, audio)
        size = _STEP if audio.seconds >= PIECE else round(PIECE * RATE)
        self._beginning = audio.read(size)
        _must_be_some(self._beginning)
        self._whole = self._beginning.size < size
        self.facts = Facts(audio_seconds=max(audio.seconds, self._beginning.size / RATE))

    def _windows(self) -> Iterator[_Window | None]:
        heard, whole, start = self._beginning, self._whole, 0
        duration = heard.size / RATE if whole else self.facts.audio_seconds
        # Every window begins with the client's prompt rather than with the text of the last one: a hint of how names
        # are spelled serves all of them, and a short or wrong end of one makes Whisper take the next for silence.
        prompt = _prompt(self._job.prompt)
        while True:
            while not whole and heard.size < LONGEST + REST:
                part = self._audio.read(_STEP)
                whole = part.size < _STEP
                heard = np.concatenate((heard, part))
                yield None
            last = heard.size <= LONGEST
            wave = _wave(heard[: min(LONGEST, heard.size if last else heard.size - REST)])
            if not last:
                wave = wave[: self._model.cut(wave)]
            yield _Window(
                wave=wave,
                start=start,
                end=start + wave.size,
                duration=duration,
                prompt=prompt,
                first=start == 0,
                last=last,
            )
            if last:
                return
            start, heard = start + wave.size, heard[wave.size :]


class Stretches(_Hearing):
    """The job's spans only, each by itself; what lies between them is read over."""

    def __init__(self, model: "WhisperHandler", job: TranscriptionJob, audio: AudioFile) -> None:
        super().__init__(model, job, audio)
        self.facts = Facts(audio_seconds=sum(span.end - span.start for span in job.spans))

    def _windows(self) -> Iterator[_Window | None]:
        job, audio = self._job, self._audio
        place = 0  # samples read
        for i, span in enumerate(job.spans):
            start = max(round(span.start * RATE), place)
            yield from _skip(audio, start - place)
            heard = yield from _read(audio, round(span.end * RATE) - start)
            place = start + heard.size
            if i == 0:
                _must_be_some(heard)
            if heard.size:  # else it lies after the end of the audio
                yield _Window(
                    wave=_wave(slowed(heard, job.tempo)),
                    start=start,
                    end=place,
                    duration=max(audio.seconds, place / RATE),
                    prompt=_prompt(job.prompt, span.context),
                    span=i,
                    first=i == 0,
                    last=i == len(job.spans) - 1,
                )


def _wave(samples: Samples) -> Wave:
    wave: Wave = samples.astype(np.float32) / 32768.0
    return wave


def _read(audio: AudioFile, count: int) -> Generator[None, None, Samples]:
    """The next `count` samples, decoded in steps, so that a client which hangs up is noticed on the way."""
    parts: list[Samples] = []
    while count > 0:
        part = audio.read(min(count, _STEP))
        parts.append(part)
        count -= part.size
        if part.size < _STEP:
            break
        yield
    return np.concatenate(parts) if parts else np.empty(0, np.int16)


def _skip(audio: AudioFile, count: int) -> Generator[None, None, None]:
    """Read over `count` samples, in steps."""
    while count > 0 and (size := audio.read(min(count, _STEP)).size):
        count -= size
        yield


def _must_be_some(heard: Samples) -> None:
    if not heard.size:
        raise InvalidRequest("No audio could be decoded from the file.", param="file")


def _prompt(*texts: str | None) -> str | None:
    """The texts in one, without control tokens. Of a long one Whisper reads the last 223 tokens only."""
    return " ".join(clean for text in texts if (clean := _SPECIAL_TOKEN.sub("", text or "").strip())) or None


def _segment(raw: Any, offset: float, limit: float, *, tempo: float, span: int | None) -> Segment:
    """A segment of faster-whisper's (in NumPy's floats, times within its window) as ours, with number 0.

    offset: seconds at which its window begins; limit: at which it ends, since Whisper's times may lie beyond. tempo: of
    the window as it was heard.
    """

    def time(seconds: float) -> float:
        return round(min(float(seconds) * tempo + offset, limit), 3)

    return Segment(
        id=0,
        seek=round(raw.seek * tempo + offset * _FRAMES_PER_SECOND),
        start=time(raw.start),
        end=time(raw.end),
        text=raw.text,
        tokens=tuple(raw.tokens),
        temperature=float(raw.temperature),
        avg_logprob=float(raw.avg_logprob),
        compression_ratio=float(raw.compression_ratio),
        no_speech_prob=float(raw.no_speech_prob),
        words=tuple(
            Word(word.word, time(word.start), time(word.end), float(word.probability)) for word in raw.words or ()
        ),
        span=span,
    )
