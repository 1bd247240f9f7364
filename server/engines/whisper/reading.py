"""A transcription job that has been read: its audio is open, and its beginning decoded."""

import re
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from server.core import Event, Facts, Segment, TranscriptInfo, TranscriptionJob, Usage, Word
from server.errors import InvalidRequest
from server.media.audio_decode import RATE, AudioFile, Samples
from server.media.audio_tempo import slowed

if TYPE_CHECKING:
    from server.engines.whisper.handler import WhisperHandler

Wave = npt.NDArray[np.float32]
"""Mono samples at RATE, -1 to 1."""

PIECE = 300.0
"""Seconds of audio whose features are computed at once: bounds memory, and the wait for the first segment."""

EDGE = 2.0
"""Seconds before the end of a piece in which speech may be cut: that segment is heard again in the next piece."""

_STEP = 60 * RATE
"""Samples decoded between two looks at whether the job was cancelled: well under a second of work."""

_FRAMES_PER_SECOND = 100
"""Whisper's mel frames, the unit of `Segment.seek`."""

_SPECIAL_TOKEN = re.compile(r"<\|[^|]*\|>")


class Recording:
    """All of a recording, piece by piece, each beginning where the last segment that is certainly whole ended."""

    def __init__(self, model: "WhisperHandler", job: TranscriptionJob, audio: AudioFile) -> None:
        """Decode the first minute, or all of a file that says to be shorter than a piece. Raises InvalidRequest.

        What a job is held for, and so pays at most, is the length that the file claims, or as much of it as is decoded
        here: a file of minutes that claims seconds would be cheap otherwise.
        """
        self._model = model
        self._job = job
        self._audio = audio
        size = _samples_of_a_piece()
        self._heard = audio.read(_STEP if audio.seconds * RATE >= size else size)
        _must_be_some(self._heard)
        self.facts = Facts(audio_seconds=max(audio.seconds, self._heard.size / RATE))

    def close(self) -> None:
        self._audio.close()

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - text has no limit here
        """TranscriptInfo, Segments in order of time, Usage with the seconds of audio."""
        job, audio, size = self._job, self._audio, _samples_of_a_piece()
        more = yield from _read(audio, size - self._heard.size)
        heard = np.concatenate((self._heard, more))
        language = "en" if self._model.english_only else job.language
        # Every piece begins with the client's prompt rather than with the text of the last one: a hint of how names
        # are spelled serves all of them, and a short or wrong end of one makes Whisper take the next for silence.
        prompt = _prompt(job.prompt)
        start, number = 0, 0  # of the piece, in samples; of the next segment
        while True:
            last = heard.size < size
            wave = (heard if last else heard[: round(PIECE * RATE)]).astype(np.float32) / 32768.0
            segments, info = self._model.decode(job, wave, language, prompt)
            if start == 0:
                language = info.language
                duration = heard.size / RATE if last else max(audio.seconds, heard.size / RATE)
                yield TranscriptInfo(info.language, float(info.language_probability), duration)
            end = PIECE - EDGE
            for raw in segments:
                if not last and raw.end > PIECE - EDGE:
                    if raw.start >= EDGE:
                        end = float(raw.start)
                        break
                    end = PIECE  # one segment fills the piece, so hearing it again from its start gains nothing
                if self._model.invented(raw, wave):
                    continue
                yield _segment(raw, number, start / RATE, (start + wave.size) / RATE)
                number += 1
            if last:
                yield Usage(audio_seconds=(start + heard.size) / RATE)
                return
            step = round(end * RATE)
            start += step
            more = yield from _read(audio, step)
            heard = np.concatenate((heard[step:], more))


class Stretches:
    """The job's spans only, each by itself; what lies between them is read over."""

    def __init__(self, model: "WhisperHandler", job: TranscriptionJob, audio: AudioFile) -> None:
        self._model = model
        self._job = job
        self._audio = audio
        self.facts = Facts(audio_seconds=sum(span.end - span.start for span in job.spans))

    def close(self) -> None:
        self._audio.close()

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - as above
        """TranscriptInfo, Segments with the numbers of their spans, Usage with the seconds heard."""
        job, audio = self._job, self._audio
        language = "en" if self._model.english_only else job.language
        place = number = samples = 0  # samples read; of the next segment; samples heard
        for i, span in enumerate(job.spans):
            start = max(round(span.start * RATE), place)
            yield from _skip(audio, start - place)
            heard = yield from _read(audio, round(span.end * RATE) - start)
            place = start + heard.size
            if i == 0:
                _must_be_some(heard)
            if not heard.size:
                continue  # it lies after the end of the audio
            samples += heard.size
            wave = slowed(heard, job.tempo).astype(np.float32) / 32768.0
            segments, info = self._model.decode(job, wave, language, _prompt(job.prompt, span.context))
            if i == 0:
                language = info.language
                duration = max(audio.seconds, place / RATE)
                yield TranscriptInfo(info.language, float(info.language_probability), duration)
            for raw in segments:
                if not self._model.invented(raw, wave):
                    yield _segment(raw, number, start / RATE, place / RATE, tempo=job.tempo, span=i)
                    number += 1
            yield None
        yield Usage(audio_seconds=samples / RATE)


def _samples_of_a_piece() -> int:
    """Its edge included."""
    return round((PIECE + EDGE) * RATE)


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


def _segment(
    raw: Any, number: int, offset: float, limit: float, *, tempo: float = 1.0, span: int | None = None
) -> Segment:
    """A segment of faster-whisper's (numbered from 1, in NumPy's floats, times within its piece) as ours.

    offset: seconds at which its piece begins; limit: at which it ends, since Whisper's times may lie beyond. tempo: of
    the piece as it was heard.
    """

    def time(seconds: float) -> float:
        return round(min(float(seconds) * tempo + offset, limit), 3)

    return Segment(
        id=number,
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
