"""Speech by piper voices: the handler that runs inside the speech worker.

Audio leaves after every sentence, and within a long sentence after every few clauses, so that the first bytes do
not wait for the rest. Several jobs may run at once, each in its own thread: onnxruntime sessions may be shared, piper
guards espeak-ng by a lock of its own, and everything else here belongs to one job.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from piper.config import PhonemeType, PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from server.engines.piper.text import LONGEST, OPENING, is_speakable, pieces, spoken_text
from server.engines.piper.voices import resolve
from server.english.read_aloud.text import spoken_english
from server.errors import InvalidRequest, ModelUnavailable
from server.media.audio_encode import AudioEncoder

PEAK = 0.89
"""Loudest sample of a step, 1 dB under full scale: lossy codecs overshoot."""

SILENCE = 0.3
"""Seconds of silence that answer a text in which nothing can be spoken, such as a lone dash."""


class Voice(Protocol):
    """The part of `piper.PiperVoice` that speaking needs; tests have a fake one."""

    config: PiperConfig

    def phonemize(self, text: str) -> list[list[str]]: ...

    def phonemes_to_ids(self, phonemes: list[str]) -> list[int]: ...

    def phoneme_ids_to_audio(self, phoneme_ids: list[int], syn_config: SynthesisConfig | None = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Speaker:
    """An installed voice, loaded, and how it is to speak."""

    voice: Voice
    names: tuple[str, ...] = ()
    number: int | None = None
    noise_scale: float | None = None
    noise_w: float | None = None

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

    def say(self, phonemes: list[str], speed: float) -> NDArray[np.float32]:
        """Samples, shape [n], at the voice's own rate, peak at PEAK."""
        config = SynthesisConfig(
            speaker_id=self.number,
            length_scale=self.voice.config.length_scale / speed,
            noise_scale=self.noise_scale,
            noise_w_scale=self.noise_w,
        )
        ids = self.voice.phonemes_to_ids(phonemes)
        samples = np.asarray(self.voice.phoneme_ids_to_audio(ids, config), dtype=np.float32).reshape(-1)
        loudest = float(np.abs(samples).max(initial=0.0))
        return samples * np.float32(PEAK / loudest) if loudest > 1e-8 else np.zeros_like(samples)


class PiperHandler:
    """Speaks SpeechJobs. sentence_pause: seconds of silence between sentences at speed 1."""

    def __init__(self, speakers: Mapping[str, Speaker], sentence_pause: float) -> None:
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
        return PiperReading(job, voice, speaker, text, self._pause)


class PiperReading:
    """A SpeechJob that has been read. text: as it is said, numbers written out; pause: seconds between sentences."""

    facts = Facts()

    def __init__(self, job: SpeechJob, voice: str, speaker: Speaker, text: str, pause: float) -> None:
        self._job = job
        self._voice = voice
        self._speaker = speaker
        self._text = text
        self._pause = pause

    def close(self) -> None:
        pass

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - speech has no limit here
        """AudioChunks, then Usage.

        Usage counts the characters of the text as sent. Its `details` are the id of the voice that spoke, the number
        of phonemes that it read, and the seconds of audio that it made.
        """
        job, speaker = self._job, self._speaker
        rate = speaker.voice.config.sample_rate
        sentences = [sentence for sentence in speaker.voice.phonemize(self._text) if is_speakable(sentence)]
        total = sum(map(len, sentences))
        phonemes = samples = billed = 0
        with AudioEncoder(job.format, rate) as encoder:
            for step, audio in self._spoken(speaker, sentences, job.speed):
                phonemes += step
                samples += audio.size
                # A job that is cut off pays for its part of the text, by phonemes: for 50 characters of 100 after
                # 30 phonemes of 60.
                characters = len(job.text) * phonemes // total if total else len(job.text)
                if data := encoder.feed(audio):
                    yield AudioChunk(data, characters - billed)
                    billed = characters
                else:
                    yield None
            yield AudioChunk(encoder.finish(), len(job.text) - billed)
        yield Usage(
            characters=len(job.text),
            details={"voice": self._voice, "phonemes": phonemes, "seconds": round(samples / rate, 3)},
        )

    def _spoken(
        self, speaker: Speaker, sentences: Sequence[Sequence[str]], speed: float
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The sentences' phonemes step by step: phonemes read, and their samples with the pause before them."""
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
                yield len(piece), np.concatenate([pause, speaker.say(piece, speed)])
                pause = pause[:0]
                limit = longest
            pause = np.zeros(round(rate * self._pause / speed), dtype=np.float32)
        if limit != longest:
            yield 0, np.zeros(round(rate * SILENCE), dtype=np.float32)


def create(options: Mapping[str, Any]) -> PiperHandler:
    """Load the voices of a piper model.

    options: `path` (folder of the voice files, absolute), `voices` (id → `file`, `names`, `speaker`), and where
    wanted `noise_scale`, `noise_w`, `sentence_pause` (seconds) and `threads` (processor threads, 0 for all cores).
    Raises ModelUnavailable for a file that is missing or a voice that can't be spoken offline.
    """
    onnxruntime.disable_telemetry_events()
    files: dict[str, Voice] = {}
    speakers: dict[str, Speaker] = {}
    for name, voice in options["voices"].items():
        file = voice["file"]
        if file not in files:
            files[file] = _load(Path(options["path"]) / file, options.get("threads") or 0)
        count, number = files[file].config.num_speakers, voice.get("speaker")
        if number is not None and number >= count:
            raise ModelUnavailable(f"The voice {name} asks for speaker {number}; {file} has {count}, from 0.")
        speakers[name] = Speaker(
            files[file], tuple(voice.get("names") or ()), number, options.get("noise_scale"), options.get("noise_w")
        )
    return PiperHandler(speakers, options.get("sentence_pause", 0.2))


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
    session = onnxruntime.InferenceSession(str(file), sess_options=session_options, providers=["CPUExecutionProvider"])
    voice: Voice = PiperVoice(config=config, session=session)
    return voice
