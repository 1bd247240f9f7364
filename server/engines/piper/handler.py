"""Speech by piper voices: the handler that runs inside the speech worker.

Audio leaves after every sentence, and within a long sentence after every few clauses, so that the first bytes do
not wait for the rest. Several jobs may run at once, each in its own thread, and their steps take turns (`turns.py`):
onnxruntime sessions may be shared, piper guards espeak-ng by a lock of its own, and everything else here belongs to one
job.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from piper.config import PhonemeType, PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from server.engines.base import WAITING, Waiting
from server.engines.free_memory import give_back
from server.engines.piper.graph import planar
from server.engines.piper.text import LONGEST, OPENING, is_speakable, pieces, spoken_text
from server.engines.piper.turns import Step, Turns, at_once
from server.engines.piper.voices import resolve
from server.english.read_aloud.text import spoken_english
from server.errors import InvalidRequest, ModelUnavailable
from server.media.audio_encode import AudioEncoder

log = logging.getLogger(__name__)

PEAK = 0.89
"""Loudest sample of a step, 1 dB under full scale: lossy codecs overshoot."""

HEAD = 0.25
"""Seconds of the first step that are encoded, and sent, before its rest: mp3 and Opus take 9 ms for a second."""

SILENCE = 0.3
"""Seconds of silence that answer a text in which nothing can be spoken, such as a lone dash."""


class Voice(Protocol):
    """The part of `piper.PiperVoice` that speaking needs; tests have a fake one."""

    config: PiperConfig

    def phonemize(self, text: str) -> list[list[str]]: ...

    def phonemes_to_ids(self, phonemes: list[str]) -> list[int]: ...

    def phoneme_ids_to_audio(self, phoneme_ids: list[int], syn_config: SynthesisConfig | None = None) -> Any: ...


class Narrow:
    """A voice once more, with one thread for each step. It is loaded in the background when it is first asked for, so
    that a voice which speaks one short text after the other has its weights in memory once.
    """

    def __init__(self, load: Callable[[], Voice]) -> None:
        self._load = load
        self._asked = threading.Lock()
        self._voice: Voice | None = None
        self.loading = threading.Thread(target=self._bring, name="narrow voice", daemon=True)

    def voice(self) -> Voice | None:
        """None while it is not there yet, and where it could not be loaded."""
        if self._voice is None and self._asked.acquire(blocking=False):  # never released: it is loaded once
            self.loading.start()
        return self._voice

    def _bring(self) -> None:
        try:
            self._voice = self._load()
        except Exception:
            log.exception("the voice could not be loaded once more; it goes on with what it has")


@dataclass(frozen=True, slots=True)
class Speaker:
    """An installed voice, loaded, and how it is to speak.

    narrow: the voice for steps that others run beside; None where `voice` itself has one thread.
    """

    voice: Voice
    names: tuple[str, ...] = ()
    number: int | None = None
    noise_scale: float | None = None
    noise_w: float | None = None
    narrow: Narrow | None = None

    @property
    def english(self) -> bool:
        """Whether espeak-ng reads to it in a variety of English."""
        config = self.voice.config
        return bool(config.phoneme_type == PhonemeType.ESPEAK and config.espeak_voice.partition("-")[0] == "en")

    def varied(self, job: SpeechJob) -> "Speaker":
        """With the job's variation where it names one, which is 0 for none at all; else with its own."""
        return replace(
            self,
            noise_scale=self.noise_scale if job.noise_scale is None else job.noise_scale,
            noise_w=self.noise_w if job.noise_w is None else job.noise_w,
        )

    def say(self, phonemes: list[str], speed: float, alone: bool) -> NDArray[np.float32]:
        """Samples, shape [n], at the voice's own rate, peak at PEAK. The threads that speak do not change them."""
        config = SynthesisConfig(
            speaker_id=self.number,
            length_scale=self.voice.config.length_scale / speed,
            noise_scale=self.noise_scale,
            noise_w_scale=self.noise_w,
        )
        voice = (None if alone or self.narrow is None else self.narrow.voice()) or self.voice
        ids = voice.phonemes_to_ids(phonemes)
        samples = np.asarray(voice.phoneme_ids_to_audio(ids, config), dtype=np.float32).reshape(-1)
        loudest = float(np.abs(samples).max(initial=0.0))
        return samples * np.float32(PEAK / loudest) if loudest > 1e-8 else np.zeros_like(samples)


class PiperHandler:
    """Speaks SpeechJobs. sentence_pause: seconds of silence between sentences at speed 1; threads: steps at once."""

    def __init__(self, speakers: Mapping[str, Speaker], sentence_pause: float, threads: int = 1) -> None:
        self._turns = Turns(threads)
        self._speakers = speakers
        self._names = {voice: speaker.names for voice, speaker in speakers.items()}
        self._pause = sentence_pause

    def read(self, job: Job) -> "PiperReading":
        """Raises InvalidRequest for an unknown voice or a blank text."""
        if not isinstance(job, SpeechJob):
            raise TypeError(f"not a speech job: {type(job).__name__}")
        named = resolve(job.voice, self._names)
        instead = job.instead.get(named, named)
        voice = instead if instead in self._speakers else named
        speaker = self._speakers[voice].varied(job)
        text = spoken_text(spoken_english(job.text) if speaker.english else job.text)
        if not text:
            raise InvalidRequest("The input has nothing in it to speak.", param="input")
        return PiperReading(job, voice, speaker, text, self._pause, self._turns)


class PiperReading:
    """A SpeechJob that has been read. text: as it is said, numbers written out; pause: seconds between sentences."""

    facts = Facts()

    def __init__(self, job: SpeechJob, voice: str, speaker: Speaker, text: str, pause: float, turns: Turns) -> None:
        self._job = job
        self._voice = voice
        self._speaker = speaker
        self._text = text
        self._pause = pause
        self._turns = turns

    def close(self) -> None:
        pass

    def run(self, limit: int | None) -> Iterator[Event | Waiting | None]:  # noqa: ARG002 - speech has no limit here
        """AudioChunks, then Usage.

        Usage counts the characters of the text as sent. Its `details` are the id of the voice that spoke, the number
        of phonemes that it read, and the seconds of audio that it made.
        """
        job, speaker = self._job, self._speaker
        rate = speaker.voice.config.sample_rate
        sentences = [sentence for sentence in speaker.voice.phonemize(self._text) if is_speakable(sentence)]
        total = sum(map(len, sentences))
        phonemes = samples = billed = 0
        steps = self._steps(speaker, sentences, job.speed)
        with self._turns.text(steps) as text, AudioEncoder(job.format, rate) as encoder:
            for made in text:
                if made is WAITING:
                    yield WAITING
                    continue
                step, audio = made
                head = 0 if samples else round(rate * HEAD)
                phonemes += step
                samples += audio.size
                # A job that is cut off pays for its part of the text, by phonemes: for 50 characters of 100 after
                # 30 phonemes of 60.
                characters = len(job.text) * phonemes // total if total else len(job.text)
                for part in (audio[:head], audio[head:]) if head else (audio,):
                    if data := encoder.feed(part):
                        yield AudioChunk(data, characters - billed)
                        billed = characters
                    else:
                        yield None
            yield AudioChunk(encoder.finish(), len(job.text) - billed)
        yield Usage(
            characters=len(job.text),
            details={"voice": self._voice, "phonemes": phonemes, "seconds": round(samples / rate, 3)},
        )

    def _steps(
        self, speaker: Speaker, sentences: Sequence[Sequence[str]], speed: float
    ) -> Iterator[Step[tuple[int, NDArray[np.float32]]]]:
        """The sentences step by step: each gives the phonemes that it read, and samples with the pause before them."""
        rate = speaker.voice.config.sample_rate
        # A step's work grows with the audio that it makes, so a slow speaker gets fewer phonemes at a time.
        slower = min(speed, 1.0)
        longest = round(LONGEST * slower)
        limit = round(OPENING * slower)
        pause = np.zeros(0, dtype=np.float32)
        for sentence in sentences:
            for piece in pieces(sentence, limit, longest):
                if not is_speakable(piece):
                    continue
                yield partial(_said, speaker, piece, speed, pause)
                pause = pause[:0]
                limit = longest
            pause = np.zeros(round(rate * self._pause / speed), dtype=np.float32)
        if limit != longest:
            yield lambda _: (0, np.zeros(round(rate * SILENCE), dtype=np.float32))


def _said(
    speaker: Speaker, piece: list[str], speed: float, pause: NDArray[np.float32], alone: bool
) -> tuple[int, NDArray[np.float32]]:
    return len(piece), np.concatenate([pause, speaker.say(piece, speed, alone)])


def create(options: Mapping[str, Any]) -> PiperHandler:
    """Load the voices of a piper model.

    options: `path` (folder of the voice files, absolute), `voices` (id → `file`, `names`, `speaker`), and where
    wanted `noise_scale`, `noise_w`, `sentence_pause` (seconds) and `threads` (processor threads, 0 for all cores).
    Raises ModelUnavailable for a file that is missing or a voice that can't be spoken offline.
    """
    onnxruntime.disable_telemetry_events()
    threads = options.get("threads") or 0
    steps = at_once(threads)
    files: dict[str, tuple[Voice, Narrow | None]] = {}
    speakers: dict[str, Speaker] = {}
    for name, described in options["voices"].items():
        file = described["file"]
        if file not in files:
            path = Path(options["path"]) / file
            files[file] = _load(path, threads), Narrow(partial(_load, path, 1)) if steps > 1 else None
        voice, narrow = files[file]
        count, number = voice.config.num_speakers, described.get("speaker")
        if number is not None and number >= count:
            raise ModelUnavailable(f"The voice {name} asks for speaker {number}; {file} has {count}, from 0.")
        speakers[name] = Speaker(
            voice,
            tuple(described.get("names") or ()),
            number,
            options.get("noise_scale"),
            options.get("noise_w"),
            narrow,
        )
    return PiperHandler(speakers, options.get("sentence_pause", 0.2), steps)


def _load(file: Path, threads: int) -> Voice:
    description = file.with_name(f"{file.name}.json")
    for needed in (file, description):
        if not needed.is_file():
            raise ModelUnavailable(f"The voice file {needed.name} is missing.")
    config = PiperConfig.from_dict(json.loads(description.read_text(encoding="utf-8")))
    if config.phoneme_type not in (PhonemeType.ESPEAK, PhonemeType.TEXT):
        # Piper's other phonemizers fetch data or need packages that are not part of this server.
        raise ModelUnavailable(f"The voice {file.name} needs the phonemizer {config.phoneme_type.value}.")
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = threads
    # Threads that spin while they wait would take the cores from the other engines.
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # In a file that is only in memory: a session keeps the bytes that it is given, beside its own copy of the weights.
    with os.fdopen(os.memfd_create(file.name), "wb") as graph:
        graph.write(planar(file))
        graph.flush()
        session = onnxruntime.InferenceSession(
            f"/proc/self/fd/{graph.fileno()}", session_options, providers=["CPUExecutionProvider"]
        )
    give_back()
    voice: Voice = PiperVoice(config=config, session=session)
    return voice
