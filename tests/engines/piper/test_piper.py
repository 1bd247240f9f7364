"""The speech handler with a fake voice: what it says, in which steps, and how names and speeds reach the voice."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from piper.config import PhonemeType

from server.core import AudioChunk, Event, Facts, SpeechJob, TranscriptionJob, Usage
from server.engines.piper.handler import HEAD, PEAK, Narrow, PiperHandler, Speaker, create
from server.engines.piper.text import LONGEST
from server.errors import InvalidRequest, ModelUnavailable
from tests.reading import handled

RATE = 24_000
PER_PHONEME = 240
"""Samples that the fake voice makes of a phoneme at length scale 1: 10 ms."""


class FakeVoice:
    """Letters are phonemes, `.` and `!` end a sentence, and a phoneme is 10 ms of a constant level."""

    def __init__(self, level: float = 0.25) -> None:
        self.config: Any = SimpleNamespace(
            sample_rate=RATE,
            length_scale=1.0,
            num_speakers=1,
            phoneme_type=PhonemeType.ESPEAK,
            espeak_voice="en-us",
        )
        self.said: list[str] = []
        self.settings: list[Any] = []
        self.level = level

    def phonemize(self, text: str) -> list[list[str]]:
        sentences = text.replace("!", ".").split(".")
        return [list(sentence.strip()) for sentence in sentences if sentence]

    def phonemes_to_ids(self, phonemes: list[str]) -> list[int]:
        self.said.append("".join(phonemes))
        return [ord(phoneme) for phoneme in phonemes]

    def phoneme_ids_to_audio(self, phoneme_ids: list[int], syn_config: Any = None) -> NDArray[np.float32]:
        self.settings.append(syn_config)
        return np.full(round(len(phoneme_ids) * PER_PHONEME * syn_config.length_scale), self.level, np.float32)


def spoken(handler: PiperHandler, text: str, **fields: Any) -> tuple[NDArray[np.int16], Usage]:
    """The samples of a pcm job and its usage, once the order of the events is checked."""
    events = [event for event in handled(handler, SpeechJob(text=text, format="pcm", **fields)) if event]
    assert events[0] == Facts()
    chunks = events[1:-1]
    usage = events[-1]
    assert isinstance(usage, Usage)
    data = b"".join(chunk.data for chunk in chunks if isinstance(chunk, AudioChunk))
    return np.frombuffer(data, "<i2"), usage


@pytest.fixture
def voice() -> FakeVoice:
    return FakeVoice()


@pytest.fixture
def handler(voice: FakeVoice) -> PiperHandler:
    return PiperHandler({"joe": Speaker(voice)}, sentence_pause=0.2)


def test_sentences_are_said_one_by_one_with_a_pause_between(handler: PiperHandler, voice: FakeVoice) -> None:
    samples, usage = spoken(handler, "Hello there. Goodbye!")
    assert voice.said == ["Hello there", "Goodbye"]
    loud = samples > 1000
    first, pause = 11 * PER_PHONEME, round(0.2 * RATE)
    assert loud[:first].all()
    assert not loud[first : first + pause].any()
    assert loud[first + pause :].all()
    assert samples.size == first + pause + 7 * PER_PHONEME
    assert usage.characters == len("Hello there. Goodbye!")
    assert usage.details == {"voice": "joe", "phonemes": 18, "seconds": round(samples.size / RATE, 3)}
    assert usage.prompt_tokens == usage.completion_tokens == usage.audio_seconds == 0


def test_the_level_is_even_whatever_the_voice_gives() -> None:
    for level in (0.05, 0.25, 1.0):
        samples, _ = spoken(PiperHandler({"joe": Speaker(FakeVoice(level))}, 0.2), "Hello.")
        assert samples.max() == pytest.approx(PEAK * 32768, abs=2)
    silent, _ = spoken(PiperHandler({"joe": Speaker(FakeVoice(0.0))}, 0.2), "Hello.")
    assert not silent.any()


def test_audio_of_a_sentence_leaves_before_the_next_is_said(handler: PiperHandler, voice: FakeVoice) -> None:
    sentences = ["This is the first of them", "This is the second of them", "This is the third"]
    events = handled(handler, SpeechJob(text=". ".join(sentences), format="mp3"))
    assert next(events) == Facts()
    assert voice.said == []
    first = next(events)
    assert isinstance(first, AudioChunk)
    assert first.data
    assert sentences[2] not in voice.said
    # Closing between sentences is how a job is cancelled: what is being said then is finished, and nothing follows.
    assert isinstance(events, Iterator)
    events.close()  # type: ignore[attr-defined]
    said = list(voice.said)
    assert said in (sentences[:1], sentences[:2])
    assert spoken(handler, "Next.")[1].characters == 5
    assert voice.said == [*said, "Next"]


def test_a_long_first_sentence_is_said_clause_by_clause(handler: PiperHandler, voice: FakeVoice) -> None:
    clauses = ["the first of the clauses here, ", "the second of the clauses, ", "the third " + "and so on " * 8]
    spoken(handler, "".join(clauses) + ". " + "Another one, " * 7 + "ends.")
    assert voice.said[0] == "".join(clauses[:2])
    assert voice.said[1] == clauses[2].strip()
    # Later sentences stay whole as long as a step may be: nobody waits for them.
    assert voice.said[2] == "Another one, " * 7 + "ends"


def test_no_step_is_longer_than_cancellation_allows(handler: PiperHandler, voice: FakeVoice) -> None:
    text = "word " * 300 + ". " + "x" * 500
    spoken(handler, text)
    assert max(map(len, voice.said)) <= LONGEST
    assert "".join(voice.said) == text.replace(". ", "").replace("  ", " ").replace("word x", "wordx")
    voice.said.clear()
    spoken(handler, text, speed=0.25)
    assert max(map(len, voice.said)) <= LONGEST / 4


def test_speed_is_the_inverse_of_the_length_scale(handler: PiperHandler, voice: FakeVoice) -> None:
    natural, _ = spoken(handler, "Hello. Hello.")
    fast, _ = spoken(handler, "Hello. Hello.", speed=2.0)
    slow, _ = spoken(handler, "Hello. Hello.", speed=0.25)
    assert fast.size == natural.size / 2
    assert slow.size == natural.size * 4
    voice.config.length_scale = 1.5
    longer, _ = spoken(handler, "Hello.", speed=3.0)
    assert longer.size == round(5 * PER_PHONEME * 0.5)


def test_config_reaches_the_voice() -> None:
    voice = FakeVoice()
    speaker = Speaker(voice, number=3, noise_scale=0.1, noise_w=0.2)
    spoken(PiperHandler({"joe": speaker}, 0.2), "Hello.")
    (settings,) = voice.settings
    assert (settings.speaker_id, settings.noise_scale, settings.noise_w_scale) == (3, 0.1, 0.2)


@pytest.mark.parametrize(
    ("espeak_voice", "phoneme_type", "said"),
    [
        ("en-us", PhonemeType.ESPEAK, "Lieutenant Penn"),
        ("en-gb-x-rp", PhonemeType.ESPEAK, "Lieutenant Penn"),
        ("en", PhonemeType.ESPEAK, "Lieutenant Penn"),
        ("de", PhonemeType.ESPEAK, "Lt Penn"),
        ("en-us", PhonemeType.TEXT, "Lt Penn"),
    ],
)
def test_english_abbreviations_are_written_out_for_english_voices_alone(
    handler: PiperHandler, voice: FakeVoice, espeak_voice: str, phoneme_type: PhonemeType, said: str
) -> None:
    voice.config.espeak_voice, voice.config.phoneme_type = espeak_voice, phoneme_type
    usage = spoken(handler, "Lt Penn")[1]
    assert voice.said == [said]
    assert usage.characters == len("Lt Penn")


def test_names_choose_among_voices() -> None:
    joe, amy = FakeVoice(), FakeVoice()
    handler = PiperHandler({"joe": Speaker(joe), "amy": Speaker(amy, ("nova",))}, 0.2)
    assert spoken(handler, "For amy.", voice="nova")[1].details["voice"] == "amy"
    assert spoken(handler, "For joe.", voice="alloy")[1].details["voice"] == "joe"
    assert (joe.said, amy.said) == (["For joe"], ["For amy"])


def test_a_job_may_vary_the_voice_its_own_way() -> None:
    voice = FakeVoice()
    handler = PiperHandler({"joe": Speaker(voice, noise_scale=0.1, noise_w=0.2)}, 0.2)
    spoken(handler, "Hello.", noise_scale=0.0)
    spoken(handler, "Hello.", noise_w=0.9)
    spoken(handler, "Hello.")
    assert [(s.noise_scale, s.noise_w_scale) for s in voice.settings] == [(0.0, 0.2), (0.1, 0.9), (0.1, 0.2)]


def test_a_job_may_speak_with_another_voice_instead() -> None:
    joe, small = FakeVoice(), FakeVoice()
    handler = PiperHandler({"joe": Speaker(joe, ("nova",)), "small": Speaker(small)}, 0.2)
    # By the voice that the name means, not by the name.
    assert spoken(handler, "One.", voice="nova", instead={"joe": "small"})[1].details["voice"] == "small"
    assert spoken(handler, "Two.", voice="nova", instead={"nova": "small"})[1].details["voice"] == "joe"
    assert spoken(handler, "Three.", instead={"joe": "gone"})[1].details["voice"] == "joe"
    assert (joe.said, small.said) == (["Two", "Three"], ["One"])


def test_wrong_requests_are_refused_before_accepted(handler: PiperHandler) -> None:
    for voice, text, param in (("nobody", "Hi.", "voice"), ("alloy", " \n\x00", "input")):
        with pytest.raises(InvalidRequest) as caught:
            next(iter(handled(handler, SpeechJob(text=text, voice=voice))))
        assert caught.value.param == param
    with pytest.raises(TypeError):
        next(iter(handled(handler, TranscriptionJob(audio=b""))))


@pytest.mark.parametrize("text", ["...", "—", "?!", ". . ."])
def test_punctuation_alone_is_a_short_silence(handler: PiperHandler, voice: FakeVoice, text: str) -> None:
    samples, usage = spoken(handler, text)
    assert samples.size == round(0.3 * RATE)
    assert not samples.any()
    assert voice.said == []
    assert usage.characters == len(text)


def test_jobs_at_the_same_time_do_not_mix() -> None:
    both_inside = threading.Barrier(2, timeout=10)

    class Meeting(FakeVoice):
        def phoneme_ids_to_audio(self, phoneme_ids: list[int], syn_config: Any = None) -> NDArray[np.float32]:
            both_inside.wait()
            return super().phoneme_ids_to_audio(phoneme_ids, syn_config)

    handler = PiperHandler({"joe": Speaker(Meeting())}, 0.2, threads=2)

    def work(text: str) -> int:
        return spoken(handler, text)[0].size

    with ThreadPoolExecutor(2) as pool:
        sizes = list(pool.map(work, ["Hello.", "A longer one."]))
    assert sizes == [5 * PER_PHONEME, 12 * PER_PHONEME]


def test_events_are_complete_for_every_format(handler: PiperHandler) -> None:
    for kind in ("mp3", "opus", "aac", "flac", "wav", "pcm"):
        job = SpeechJob(text="One. Two.", format=kind)
        events: list[Event | None] = list(handled(handler, job))
        assert [type(event) for event in (events[0], events[-1])] == [Facts, Usage]
        assert all(isinstance(event, AudioChunk | None) for event in events[1:-1])


def options(folder: Path, **voice: Any) -> dict[str, Any]:
    return {"path": str(folder), "voices": {"joe": {"file": "joe.onnx", **voice}}}


def test_a_missing_file_is_named_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"voice file joe\.onnx is missing") as caught:
        create(options(tmp_path))
    assert str(tmp_path) not in caught.value.message
    (tmp_path / "joe.onnx").touch()
    with pytest.raises(ModelUnavailable, match=r"voice file joe\.onnx\.json is missing"):
        create(options(tmp_path))


def test_a_voice_that_would_fetch_its_phonemizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "joe.onnx").touch()
    description = {
        "num_symbols": 1,
        "num_speakers": 1,
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "cmn"},
        "phoneme_id_map": {},
        "phoneme_type": "pinyin",
    }
    (tmp_path / "joe.onnx.json").write_text(json.dumps(description))
    with pytest.raises(ModelUnavailable, match="pinyin"):
        create(options(tmp_path))


def test_steps_that_others_run_beside_are_said_with_one_thread_once_that_voice_is_there(voice: FakeVoice) -> None:
    one_thread = FakeVoice()
    asked, there = threading.Event(), threading.Event()

    def load() -> FakeVoice:
        asked.set()
        assert there.wait(10)
        return one_thread

    narrow = Narrow(load)
    speaker = Speaker(voice, narrow=narrow)
    assert speaker.say(list("alone"), 1.0, alone=True).size == 5 * PER_PHONEME
    assert not asked.is_set()
    assert speaker.say(list("early"), 1.0, alone=False).size == 5 * PER_PHONEME
    assert asked.wait(10)
    there.set()
    narrow.loading.join(10)
    assert speaker.say(list("beside"), 1.0, alone=False).size == 6 * PER_PHONEME
    assert speaker.say(list("alone"), 1.0, alone=True).size == 5 * PER_PHONEME
    assert (voice.said, one_thread.said) == (["alone", "early", "alone"], ["beside"])


def test_the_first_of_the_audio_leaves_before_the_rest_of_its_step(voice: FakeVoice) -> None:
    events = list(handled(PiperHandler({"joe": Speaker(voice)}, 0.2), SpeechJob(text="x" * 50, format="pcm")))
    chunks = [event for event in events if isinstance(event, AudioChunk)]
    assert len(chunks[0].data) <= 2 * round(HEAD * RATE)
    assert sum(len(chunk.data) for chunk in chunks) == 2 * 50 * PER_PHONEME
    assert [chunk.characters for chunk in chunks] == [50, *[0] * (len(chunks) - 1)]
