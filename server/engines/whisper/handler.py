"""Transcription by faster-whisper: the handler that runs in the worker process of a Whisper model."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.core import Job, TranscriptionJob
from server.engines.whisper.batcher import Batcher
from server.engines.whisper.bounded import BoundedFallback, Ladder, Watch
from server.engines.whisper.cuda_libraries import load_cublas
from server.engines.whisper.reading import Recording, Stretches
from server.engines.whisper.rest import without_short_rests
from server.engines.whisper.windows import FRAME, Detector, Wave, cut
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable
from server.media.audio_decode import RATE, AudioFile

log = logging.getLogger(__name__)

NO_SPEECH = 0.6
"""Above this no-speech probability a segment is kept only if the voice detector agrees that somebody speaks."""


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
    max_batch: int = 4


def create(options: Mapping[str, Any], watch: Watch | None = None) -> "WhisperHandler":
    """Load the model. `options` holds `WhisperOptions` by name; other keys are other layers' and ignored.

    watch: is shown every window that is heard.

    Raises ModelUnavailable: a file is missing, or the device or compute type can't be had here.
    """
    import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import get_compression_ratio

    known = {field.name for field in fields(WhisperOptions)}
    chosen = WhisperOptions(**{name: value for name, value in options.items() if name in known})
    # Left to itself, faster-whisper would ask a model hub for what is not there.
    for name in ("model.bin", "config.json", "tokenizer.json"):
        if not (Path(chosen.path) / name).is_file():
            raise ModelUnavailable(f"The model's file {name} is missing.")
    device = device_for(chosen.device, ctranslate2.get_cuda_device_count())
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
    model.model = Batcher(model.model, chosen.max_batch, together=device == "cuda")
    model._split_segments_by_timestamps = without_short_rests(
        model._split_segments_by_timestamps, model.frames_per_second
    )
    model.generate_with_fallback = BoundedFallback(model, get_compression_ratio, watch)
    return WhisperHandler(model, chosen, has_speech, speaks)


def device_for(wanted: str, gpus: int, load: Callable[[], str | None] = load_cublas) -> str:
    """cuda or cpu. Where CUDA can't be had, `auto` is the processor. Raises ModelUnavailable: `cuda` was asked for.

    gpus: how many CTranslate2 finds. load: loads what it needs of CUDA 12, and returns why that failed, or None.
    """
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return "cpu"
    if not gpus:
        raise ModelUnavailable("The model's config asks for CUDA, but there is no CUDA device.")
    reason = load()
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


def speaks(wave: Wave) -> npt.NDArray[np.float32]:
    """A `Detector`: the same one's probabilities."""
    from faster_whisper.vad import get_vad_model

    probabilities: npt.NDArray[np.float32] = get_vad_model()(np.pad(wave, (0, -wave.size % FRAME))).ravel()
    return probabilities


class WhisperHandler:
    """A `Handler` for TranscriptionJobs. Holds no state of a job, so jobs may run in several threads.

    ahead: windows of a job that are in work at once: those of one batch, and of the next, which wait in line.
    """

    def __init__(
        self, model: Any, options: WhisperOptions, has_speech: Callable[[Wave], bool], detector: Detector
    ) -> None:
        self._model = model
        self._options = options
        self._has_speech = has_speech
        self._detector = detector
        self.ahead = 2 * options.max_batch if options.max_batch > 1 else 1
        self._english_only = options.english_only or not model.model.is_multilingual

    def read(self, job: Job) -> Recording | Stretches:
        """Open the job's audio and decode its beginning.

        The spans of a job must be in order and apart from each other; each is one window, so they should be short.
        """
        if not isinstance(job, TranscriptionJob):
            raise EngineFailed("A transcription model was given another task.")
        self._check_language(job)
        audio = AudioFile(job.audio, max_seconds=self._options.max_seconds)
        try:
            return Stretches(self, job, audio) if job.spans else Recording(self, job, audio)
        except BaseException:
            audio.close()
            raise

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

    @property
    def english_only(self) -> bool:
        return self._english_only

    def invented(self, raw: Any, wave: Wave) -> bool:
        """Whether a segment is text over silence: Whisper doubts that anybody speaks, and the voice detector agrees."""
        return raw.no_speech_prob > NO_SPEECH and not self._has_speech(
            wave[round(raw.start * RATE) : round(raw.end * RATE)]
        )

    def cut(self, wave: Wave) -> int:
        """See `windows.cut`."""
        return cut(wave, self._detector)

    def decode(
        self, job: TranscriptionJob, wave: Wave, language: str | None, prompt: str | None, *, first: bool = True
    ) -> tuple[Iterator[Any], Any]:
        """faster-whisper's segments and what it says of all of the window. first: of the job's windows."""
        temperature = job.temperature if job.temperature is not None or job.fallback else 0.0
        segments, info = self._model.transcribe(
            wave,
            language=language,
            task="translate" if job.translate and not self._english_only else "transcribe",
            beam_size=job.beam_size or self._options.beam_size,
            vad_filter=self._options.vad if job.vad is None else job.vad,
            word_timestamps=job.words,
            initial_prompt=prompt,
            temperature=Ladder(wave.size / RATE, first=first) if temperature is None else temperature,
        )
        return iter(segments), info
