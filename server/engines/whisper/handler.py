"""Transcription by faster-whisper: the handler that runs in the worker process of a Whisper model."""

import logging
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.core import Accepted, Event, Job, Segment, TranscriptInfo, TranscriptionJob, Usage, Word
from server.engines.whisper.cuda_libraries import load_cublas
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable
from server.media.audio_decode import RATE, AudioFile, Samples
from server.media.audio_tempo import slowed

log = logging.getLogger(__name__)

PIECE = 300.0
"""Seconds of audio whose features are computed at once: bounds memory, and the wait for the first segment."""

EDGE = 2.0
"""Seconds before the end of a piece in which speech may be cut: that segment is heard again in the next piece."""

NO_SPEECH = 0.6
"""Above this no-speech probability a segment is kept only if the voice detector agrees that somebody speaks."""

_STEP = 60 * RATE
"""Samples decoded between two looks at whether the job was cancelled: well under a second of work."""

_FRAMES_PER_SECOND = 100
"""Whisper's mel frames, the unit of `Segment.seek`."""

_SPECIAL_TOKEN = re.compile(r"<\|[^|]*\|>")

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperOptions:
    """Options of `create`; the meanings are those of `WhisperModel` in server/models/config/spec.py."""

    path: str
    compute_type: str = "default"
    device: str = "auto"
    beam_size: int = 5
    vad: bool = False
    threads: int = 0
    english_only: bool = False
    max_seconds: float = 14400.0


def create(options: Mapping[str, Any]) -> "WhisperHandler":
    """Load the model. `options` holds `WhisperOptions` by name; other keys are other layers' and ignored.

    Raises ModelUnavailable: a file is missing, or the device or compute type can't be had here.
    """
    import ctranslate2
    from faster_whisper import WhisperModel

    known = {field.name for field in fields(WhisperOptions)}
    chosen = WhisperOptions(**{name: value for name, value in options.items() if name in known})
    # Left to itself, faster-whisper would ask a model hub for what is not there.
    for name in ("model.bin", "config.json", "tokenizer.json"):
        if not (Path(chosen.path) / name).is_file():
            raise ModelUnavailable(f"The model's file {name} is missing.")
    device = _device(chosen.device, ctranslate2.get_cuda_device_count())
    compute_type = chosen.compute_type
    if compute_type == "default":
        compute_type = "float16" if device == "cuda" else "int8"
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type not in {*supported, "auto"}:
        raise ModelUnavailable(
            f"The compute type {compute_type} is not available on {device}; these are: {', '.join(sorted(supported))}."
        )
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    model = WhisperModel(
        chosen.path,
        device=device,
        compute_type=compute_type,
        cpu_threads=chosen.threads or len(os.sched_getaffinity(0)),
        local_files_only=True,
    )
    if model.feature_extractor.mel_filters.shape[0] != model.model.n_mels:
        # Models with 128 mel bands say so there, and decode noise without it.
        raise ModelUnavailable("The model's file preprocessor_config.json is missing or belongs to another model.")
    return WhisperHandler(model, chosen, has_speech)


def _device(wanted: str, gpus: int) -> str:
    """cuda or cpu. Where CUDA can't be had, `auto` is the processor. Raises ModelUnavailable: `cuda` was asked for."""
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return "cpu"
    if not gpus:
        raise ModelUnavailable("The model's config asks for CUDA, but there is no CUDA device.")
    reason = load_cublas()
    if reason is None:
        return "cuda"
    if wanted == "cuda":
        log.error("CTranslate2's CUDA libraries can't be loaded: %s", reason)
        raise ModelUnavailable("The model's config asks for CUDA, but CUDA 12's cuBLAS can't be loaded.")
    log.warning("transcription runs on the processor: CTranslate2's CUDA libraries can't be loaded (%s)", reason)
    return "cpu"


def has_speech(wave: Wave) -> bool:
    """Whether the voice detector that ships with faster-whisper (Silero) hears somebody. `wave` at `RATE`."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    return bool(get_speech_timestamps(wave, VadOptions(min_speech_duration_ms=100)))


class WhisperHandler:
    """A `Handler` for TranscriptionJobs. Holds no state of a job, so jobs may run in several threads."""

    def __init__(self, model: Any, options: WhisperOptions, has_speech: Callable[[Wave], bool]) -> None:
        self._model = model
        self._options = options
        self._has_speech = has_speech
        self._english_only = options.english_only or not model.model.is_multilingual

    def handle(self, job: Job) -> Iterator[Event | None]:
        """Accepted, TranscriptInfo, Segments in order of time, Usage with the seconds of audio.

        The spans of a job must be in order and apart from each other; each is heard at once, so they should be short.
        """
        if not isinstance(job, TranscriptionJob):
            raise EngineFailed("A transcription model was given another task.")
        self._check_language(job)
        with AudioFile(job.audio, max_seconds=self._options.max_seconds) as audio:
            yield from self._spans(job, audio) if job.spans else self._transcribe(job, audio)

    def _check_language(self, job: TranscriptionJob) -> None:
        if self._english_only:
            # Translating English into English is transcribing it, so such a model answers translations too.
            if job.language not in (None, "en"):
                raise InvalidRequest(
                    f"This model knows English only; it can't transcribe or translate language {job.language!r}.",
                    param="language",
                )
        elif job.language is not None and self._model.hf_tokenizer.token_to_id(f"<|{job.language}|>") is None:
            raise InvalidRequest(f"This model does not know language {job.language!r}.", param="language")

    def _transcribe(self, job: TranscriptionJob, audio: AudioFile) -> Iterator[Event | None]:
        """Piece by piece, each beginning where the last segment that is certainly whole ended."""
        size = round((PIECE + EDGE) * RATE)
        heard = yield from _read(audio, size)
        _must_be_some(heard)
        yield Accepted(audio_seconds=max(audio.seconds, heard.size / RATE))
        language = "en" if self._english_only else job.language
        # Every piece begins with the client's prompt rather than with the text of the last one: a hint of how names
        # are spelled serves all of them, and a short or wrong end of one makes Whisper take the next for silence.
        prompt = _prompt(job.prompt)
        start, number = 0, 0  # of the piece, in samples; of the next segment
        while True:
            last = heard.size < size
            wave = (heard if last else heard[: round(PIECE * RATE)]).astype(np.float32) / 32768.0
            segments, info = self._decode(job, wave, language, prompt)
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
                if self._invented(raw, wave):
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

    def _spans(self, job: TranscriptionJob, audio: AudioFile) -> Iterator[Event | None]:
        """The job's spans only, each by itself; what lies between them is read over."""
        language = "en" if self._english_only else job.language
        place = number = samples = 0  # samples read; of the next segment; samples heard
        for i, span in enumerate(job.spans):
            start = max(round(span.start * RATE), place)
            yield from _skip(audio, start - place)
            heard = yield from _read(audio, round(span.end * RATE) - start)
            place = start + heard.size
            if i == 0:
                _must_be_some(heard)
                yield Accepted(audio_seconds=sum(span.end - span.start for span in job.spans))
            if not heard.size:
                continue  # it lies after the end of the audio
            samples += heard.size
            wave = slowed(heard, job.tempo).astype(np.float32) / 32768.0
            segments, info = self._decode(job, wave, language, _prompt(job.prompt, span.context))
            if i == 0:
                language = info.language
                duration = max(audio.seconds, place / RATE)
                yield TranscriptInfo(info.language, float(info.language_probability), duration)
            for raw in segments:
                if not self._invented(raw, wave):
                    yield _segment(raw, number, start / RATE, place / RATE, tempo=job.tempo, span=i)
                    number += 1
            yield None
        yield Usage(audio_seconds=samples / RATE)

    def _invented(self, raw: Any, wave: Wave) -> bool:
        """Whether a segment is text over silence: Whisper doubts that anybody speaks, and the voice detector agrees."""
        return raw.no_speech_prob > NO_SPEECH and not self._has_speech(_range(wave, raw.start, raw.end))

    def _decode(
        self, job: TranscriptionJob, wave: Wave, language: str | None, prompt: str | None
    ) -> tuple[Iterator[Any], Any]:
        # Left alone, faster-whisper raises the temperature step by step while the outcome looks bad.
        temperature = job.temperature if job.temperature is not None or job.fallback else 0.0
        sampling = {} if temperature is None else {"temperature": temperature}
        segments, info = self._model.transcribe(
            wave,
            language=language,
            task="translate" if job.translate and not self._english_only else "transcribe",
            beam_size=job.beam_size or self._options.beam_size,
            vad_filter=self._options.vad if job.vad is None else job.vad,
            word_timestamps=job.words,
            initial_prompt=prompt,
            **sampling,
        )
        return iter(segments), info


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


def _range(wave: Wave, start: float, end: float) -> Wave:
    return wave[round(start * RATE) : round(end * RATE)]


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
