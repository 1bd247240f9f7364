"""The transcription handler over a model of straw: what it asks of the model, and what it makes of the answers."""

import pickle
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from server.core import ChatJob, Event, Facts, Segment, Span, TranscriptInfo, TranscriptionJob, Usage, Word
from server.engines.whisper import handler as whisper
from server.engines.whisper.fallback import LADDER, Budget
from server.engines.whisper.handler import WhisperHandler, WhisperOptions, create
from server.engines.whisper.reading import PIECE
from server.engines.whisper.windows import FRAME, LONGEST, SHORTEST, Wave
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable
from server.media.audio_decode import RATE
from server.media.wav import as_wav
from tests.reading import handled


@dataclass
class RawSegment:
    """As faster-whisper's: numbered from 1, NumPy's floats where word times were asked for."""

    start: float
    end: float
    text: str
    id: int = 1
    seek: int = 0
    tokens: list[int] = field(default_factory=lambda: [50363, 1, 2])
    temperature: float = 0.0
    avg_logprob: float = -0.2
    compression_ratio: float = 1.1
    no_speech_prob: float = 0.01
    words: list[Any] | None = None


@dataclass
class RawInfo:
    language: str
    language_probability: float = 1


class StrawModel:
    """Answers each `transcribe` with the next of `pieces`, and keeps what it was asked."""

    def __init__(self, *pieces: Iterable[RawSegment], multilingual: bool = True, detected: str = "de") -> None:
        self.model = self
        self.is_multilingual = multilingual
        self.hf_tokenizer = self
        self.detected = detected
        self.pieces = list(pieces)
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def token_to_id(self, token: str) -> int | None:
        return {"<|en|>": 1, "<|de|>": 2, "<|fr|>": 3}.get(token)

    def transcribe(self, wave: Wave, **options: Any) -> tuple[Iterator[RawSegment], RawInfo]:
        self.asked.append({"seconds": wave.size / RATE, "wave": wave, **options})
        return self._segments(self.pieces.pop(0)), RawInfo(options["language"] or self.detected)

    def _segments(self, piece: Iterable[RawSegment]) -> Iterator[RawSegment]:
        try:
            yield from piece
        finally:
            self.closed += 1


def recording(seconds: float) -> bytes:
    """A WAV whose samples tell their own place: sample i is i // 1000."""
    return as_wav((np.arange(round(seconds * RATE)) // 1000).astype("<i2").tobytes(), RATE)


def job(seconds: float = 3.0, **fields: Any) -> TranscriptionJob:
    return TranscriptionJob(audio=recording(seconds), **fields)


def handler(model: StrawModel, *, hears: bool = True, **options: Any) -> WhisperHandler:
    """One window at a time, in their order."""
    return WhisperHandler(model, WhisperOptions(path="", **{"max_batch": 1} | options), lambda _: hears, pausing)


def pausing(wave: Wave) -> npt.NDArray[np.float32]:
    """Somebody speaks, with a pause of half a second from second 25 of each window."""
    seconds = (SHORTEST + np.arange(-(-wave.size // FRAME)) * FRAME) / RATE
    return np.where((seconds >= 25.0) & (seconds < 25.5), 0.1, 0.9).astype(np.float32)


def run(model: StrawModel, job: TranscriptionJob, *, hears: bool = True, **options: Any) -> list[Event]:
    return [event for event in handled(handler(model, hears=hears, **options), job) if event is not None]


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Segment)]


def refusal(model: StrawModel, job: TranscriptionJob, **options: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        run(model, job, **options)
    assert model.asked == []
    return caught.value


def test_events_in_their_order() -> None:
    word = Word(" Hi", np.float64(0.0), np.float64(0.4), np.float64(0.9))
    model = StrawModel(
        [RawSegment(np.float64(0.0), np.float64(1.5), " Hi.", words=[word]), RawSegment(1.5, 9.0, " Yes.")]
    )
    events = run(model, job(words=True))
    assert events == [
        Facts(audio_seconds=3.0),
        TranscriptInfo("de", 1.0, 3.0),
        Segment(
            id=0,
            seek=0,
            start=0.0,
            end=1.5,
            text=" Hi.",
            tokens=(50363, 1, 2),
            temperature=0.0,
            avg_logprob=-0.2,
            compression_ratio=1.1,
            no_speech_prob=0.01,
            words=(Word(" Hi", 0.0, 0.4, 0.9),),
        ),
        Segment(
            id=1,
            seek=0,
            start=1.5,
            end=3.0,  # Whisper's 9.0 lies after the end of the audio
            text=" Yes.",
            tokens=(50363, 1, 2),
            temperature=0.0,
            avg_logprob=-0.2,
            compression_ratio=1.1,
            no_speech_prob=0.01,
        ),
        Usage(audio_seconds=3.0),
    ]
    assert b"numpy" not in pickle.dumps(events)


def test_what_the_model_is_asked() -> None:
    model = StrawModel([])
    run(
        model, job(language="fr", prompt="Sagehold", temperature=0.3, words=True, translate=True), beam_size=2, vad=True
    )
    asked = model.asked[0]
    assert np.array_equal(asked.pop("wave"), (np.arange(3 * RATE) // 1000).astype(np.float32) / 32768)
    assert asked == {
        "seconds": 3.0,
        "language": "fr",
        "task": "translate",
        "beam_size": 2,
        "vad_filter": True,
        "word_timestamps": True,
        "initial_prompt": "Sagehold",
        "temperature": 0.3,
    }


def test_without_a_temperature_it_climbs_the_ladder_within_a_budget_by_length() -> None:
    model = StrawModel([])
    run(model, job())
    assert model.asked[0]["temperature"] == list(LADDER)
    assert model.asked[0]["temperature"].budget.left == Budget(3.0).left
    assert model.asked[0]["task"] == "transcribe"
    assert model.asked[0]["language"] is None
    assert model.asked[0]["initial_prompt"] is None


def test_the_job_s_own_settings_come_before_the_model_s() -> None:
    model = StrawModel([], [])
    run(model, job(beam_size=7, vad=False), beam_size=2, vad=True)
    run(model, job(vad=True), beam_size=2)
    assert [(asked["beam_size"], asked["vad_filter"]) for asked in model.asked] == [(7, False), (2, True)]


def test_without_fallback_nothing_is_drawn_by_chance() -> None:
    model = StrawModel([], [])
    run(model, job(fallback=False))
    run(model, job(fallback=False, temperature=0.4))
    assert [asked["temperature"] for asked in model.asked] == [0.0, 0.4]


@pytest.mark.parametrize(("prompt", "asked"), [("<|endoftext|> Hi <|en|>", "Hi"), ("<|en|>", None), ("  ", None)])
def test_a_prompt_can_not_hold_control_tokens(prompt: str, asked: str | None) -> None:
    model = StrawModel([])
    run(model, job(prompt=prompt))
    assert model.asked[0]["initial_prompt"] == asked


def test_text_over_silence_is_dropped_where_nobody_is_heard() -> None:
    invented = RawSegment(0.0, 1.0, " You", no_speech_prob=0.95)
    said = RawSegment(1.0, 2.0, " Hello.", no_speech_prob=0.2)
    assert texts(run(StrawModel([invented, said]), job(), hears=False)) == [" Hello."]
    assert texts(run(StrawModel([invented, said]), job(), hears=True)) == [" You", " Hello."]


def test_silence_is_an_empty_transcript() -> None:
    events = run(StrawModel([]), job())
    assert events == [Facts(audio_seconds=3.0), TranscriptInfo("de", 1.0, 3.0), Usage(audio_seconds=3.0)]


class TestEnglishOnly:
    @pytest.mark.parametrize("translate", [False, True])
    @pytest.mark.parametrize("language", [None, "en"])
    def test_english_is_transcribed(self, language: str | None, translate: bool) -> None:
        model = StrawModel([], multilingual=False)
        events = run(model, job(language=language, translate=translate))
        assert (model.asked[0]["language"], model.asked[0]["task"]) == ("en", "transcribe")
        assert events[1] == TranscriptInfo("en", 1.0, 3.0)

    @pytest.mark.parametrize("translate", [False, True])
    def test_another_language_is_refused(self, translate: bool) -> None:
        error = refusal(StrawModel(multilingual=False), job(language="fr", translate=translate))
        assert error.param == "language"
        assert "English only" in error.message

    def test_the_config_can_say_so_too(self) -> None:
        assert refusal(StrawModel(), job(language="fr"), english_only=True).param == "language"


def test_a_language_that_the_model_does_not_know() -> None:
    assert refusal(StrawModel(), job(language="yue")).message == "This model does not know language 'yue'."


def test_bad_audio_is_refused_before_accepted() -> None:
    assert refusal(StrawModel(), TranscriptionJob(audio=b"no sound")).param == "file"
    assert refusal(StrawModel(), job(3.0), max_seconds=2.0).param == "file"
    assert refusal(StrawModel(), job(0.0)).message == "No audio could be decoded from the file."


def test_another_task_is_a_bug() -> None:
    with pytest.raises(EngineFailed):
        list(handled(handler(StrawModel()), ChatJob(messages=())))


CUT = 25.25
"""Seconds at which each window of a long recording ends: in the middle of the pause."""


class TestLongAudio:
    """A recording longer than Whisper hears at once is cut in its pauses."""

    def test_its_windows_follow_each_other(self) -> None:
        model = StrawModel(
            [RawSegment(0.0, 20.0, " One.", seek=0), RawSegment(20.0, 29.0, " Two.")],
            [RawSegment(0.5, 25.0, " Three.", seek=7)],
            [RawSegment(0.0, 9.5, " End.", seek=0)],
        )
        events = run(model, job(60.0, prompt="Names"))
        cuts = [round(end, 3) for end in (asked["seconds"] for asked in model.asked)]
        assert cuts == [pytest.approx(CUT, abs=0.05), pytest.approx(CUT, abs=0.05), pytest.approx(9.5, abs=0.1)]
        assert sum(asked["seconds"] for asked in model.asked) == 60.0
        first, second = cuts[0], cuts[0] + cuts[1]
        assert [(e.id, e.start, e.end, e.text, e.seek) for e in events if isinstance(e, Segment)] == [
            (0, 0.0, 20.0, " One.", 0),
            (1, 20.0, first, " Two.", 0),  # Whisper's 29 s lies after the window's end
            (2, round(first + 0.5, 3), round(first + 25.0, 3), " Three.", round(7 + 100 * first)),
            (3, second, min(60.0, round(second + 9.5, 3)), " End.", round(100 * second)),
        ]
        starts = [round(float(asked["wave"][0]) * 32768) for asked in model.asked]
        assert starts == [0, round(first * RATE) // 1000, round(second * RATE) // 1000]
        assert [asked["initial_prompt"] for asked in model.asked] == ["Names"] * 3
        assert events[-1] == Usage(audio_seconds=60.0)
        assert model.closed == 3

    def test_the_language_is_detected_once(self) -> None:
        model = StrawModel([], [], detected="fr")
        events = run(model, job(45.0))
        assert [asked["language"] for asked in model.asked] == [None, "fr"]
        assert [e for e in events if isinstance(e, TranscriptInfo)] == [TranscriptInfo("fr", 1.0, 45.0)]

    def test_only_the_first_has_the_whole_budget_of_fallback(self) -> None:
        model = StrawModel([], [])
        run(model, job(45.0))
        left = [asked["temperature"].budget.left for asked in model.asked]
        seconds = [asked["seconds"] for asked in model.asked]
        assert left == [Budget(seconds[0]).left, Budget(seconds[1], first=False).left]

    def test_what_is_left_for_the_end_is_no_single_word(self) -> None:
        model = StrawModel([], [])
        run(model, job(30.2))
        assert model.asked[1]["seconds"] >= 4.9
        model = StrawModel([RawSegment(0.0, 30.0, " All.")])
        assert texts(run(model, job(LONGEST / RATE))) == [" All."]

    def test_windows_are_heard_at_the_same_time(self) -> None:
        """Each of four waits until all four are asked for; their segments come in order."""

        class Together(StrawModel):
            def __init__(self) -> None:
                super().__init__()
                self.all_there = threading.Barrier(4)

            def transcribe(self, wave: Wave, **options: Any) -> tuple[Iterator[RawSegment], RawInfo]:
                second = float(wave[0]) * 32768 * 1000 / RATE
                return self.heard(f" {second:.0f}"), RawInfo(options["language"] or self.detected)

            def heard(self, text: str) -> Iterator[RawSegment]:
                self.all_there.wait(10)
                yield RawSegment(0.0, 1.0, text)

        events = run(Together(), job(100.0), max_batch=4)
        assert texts(events) == [" 0", " 25", " 50", " 76"]
        assert [e.id for e in events if isinstance(e, Segment)] == [0, 1, 2, 3]
        assert events[1] == TranscriptInfo("de", 1.0, 100.0)
        assert events[-1] == Usage(audio_seconds=100.0)

    def test_what_fails_in_the_first_fails_all(self) -> None:
        class Broken(StrawModel):
            def transcribe(self, wave: Wave, **options: Any) -> tuple[Iterator[RawSegment], RawInfo]:
                raise LookupError("no weights")

        with pytest.raises(LookupError, match="no weights"):
            run(Broken(), job(100.0), max_batch=4)


class TestSpans:
    """Stretches of a recording, each heard by itself."""

    SPANS = (Span(1.0, 2.5, "It was"), Span(2.5, 3.0), Span(200.0, 202.0, "<|en|>the end of"))

    def test_only_they_are_heard(self) -> None:
        model = StrawModel(
            [RawSegment(0.0, 0.5, " One."), RawSegment(0.5, 9.0, " Two.")],
            [],
            [RawSegment(0.5, 1.0, " Three.", seek=7)],
        )
        events = run(model, job(300.0, spans=self.SPANS, prompt="Names:"))
        assert events[0] == Facts(audio_seconds=4.0)
        assert events[1] == TranscriptInfo("de", 1.0, 300.0)
        assert [(e.id, e.start, e.end, e.text, e.span, e.seek) for e in events if isinstance(e, Segment)] == [
            (0, 1.0, 1.5, " One.", 0, 100),
            (1, 1.5, 2.5, " Two.", 0, 100),
            (2, 200.5, 201.0, " Three.", 2, 20_007),
        ]
        assert events[-1] == Usage(audio_seconds=4.0)
        assert len(events) == 6
        assert [asked["seconds"] for asked in model.asked] == [1.5, 0.5, 2.0]
        starts = [round(float(asked["wave"][0]) * 32768) for asked in model.asked]
        assert starts == [round(second * RATE) // 1000 for second in (1.0, 2.5, 200.0)]
        assert [asked["initial_prompt"] for asked in model.asked] == ["Names: It was", "Names:", "Names: the end of"]
        assert [asked["language"] for asked in model.asked] == [None, "de", "de"]

    def test_what_lies_after_the_end_is_not_heard(self) -> None:
        model = StrawModel([RawSegment(0.0, 1.0, " One.")])
        events = run(model, job(3.0, spans=(Span(2.0, 4.0), Span(5.0, 6.0))))
        assert [asked["seconds"] for asked in model.asked] == [1.0]
        assert [(e.start, e.end) for e in events if isinstance(e, Segment)] == [(2.0, 3.0)]
        assert events[-1] == Usage(audio_seconds=1.0)
        assert refusal(StrawModel(), job(3.0, spans=(Span(5.0, 6.0),))).param == "file"

    def test_text_over_silence_is_dropped_there_too(self) -> None:
        invented = RawSegment(0.0, 1.0, " You", no_speech_prob=0.95)
        assert texts(run(StrawModel([invented]), job(spans=(Span(0.0, 1.0),)), hears=False)) == []

    def test_slowed_they_keep_their_times(self) -> None:
        word = Word(" One", 0.0, 1.0)
        model = StrawModel([RawSegment(0.0, 2.0, " One.", words=[word], seek=200), RawSegment(2.0, 9.0, " Two.")])
        events = run(model, job(10.0, spans=(Span(4.0, 8.0),), tempo=0.5, words=True))
        assert model.asked[0]["seconds"] == pytest.approx(8.0, rel=0.02)
        first, second = (event for event in events if isinstance(event, Segment))
        assert (first.start, first.end, first.seek) == (4.0, 5.0, 500)
        assert (second.start, second.end, second.seek) == (5.0, 8.0, 400)
        assert first.words == (Word(" One", 4.0, 4.5),)
        assert events[-1] == Usage(audio_seconds=4.0)

    def test_it_can_be_cancelled_while_it_reads_up_to_them(self) -> None:
        model = StrawModel([])
        events = handled(handler(model), job(PIECE, spans=(Span(PIECE - 1, PIECE),)))
        assert isinstance(next(events), Facts)
        assert [next(events) for _ in range(4)] == [None] * 4
        assert model.asked == []


def test_closing_stops_between_segments() -> None:
    drawn: list[int] = []

    def segments() -> Iterator[RawSegment]:
        for number in range(100):
            drawn.append(number)
            yield RawSegment(number, number + 1.0, f" {number}")

    model = StrawModel(segments())
    events = handled(handler(model), job(20.0))
    seen: list[Event] = []
    for event in events:
        if event is not None:
            seen.append(event)
        if len(seen) == 4:
            break
    events.close()  # type: ignore[attr-defined]
    assert texts(seen) == [" 0", " 1"]
    assert drawn == [0, 1]


def test_long_audio_is_decoded_as_it_is_needed() -> None:
    model = StrawModel(*[[]] * 40)
    events = handled(handler(model), job(2 * PIECE))
    assert isinstance(next(events), Facts)
    assert isinstance(next(events), TranscriptInfo)
    assert len(model.asked) == 1
    assert next(events) is None
    events.close()  # type: ignore[attr-defined]


class TestCreate:
    def files(self, folder: Path, *names: str) -> dict[str, Any]:
        for name in names:
            (folder / name).write_bytes(b"{}")
        return {"path": str(folder), "name": "m"}

    @pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
    def test_a_missing_file_is_named(self, tmp_path: Path, missing: str) -> None:
        names = {"model.bin", "config.json", "tokenizer.json"} - {missing}
        with pytest.raises(ModelUnavailable) as caught:
            create(self.files(tmp_path, *names))
        assert caught.value.message == f"The model's file {missing} is missing."

    def test_cuda_where_there_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
        options = self.files(tmp_path, "model.bin", "config.json", "tokenizer.json")
        with pytest.raises(ModelUnavailable, match="no CUDA device"):
            create({**options, "device": "cuda"})

    def test_an_unknown_compute_type_lists_those_there_are(self, tmp_path: Path) -> None:
        options = self.files(tmp_path, "model.bin", "config.json", "tokenizer.json")
        with pytest.raises(ModelUnavailable, match=r"int4 is not available on cpu; these are: .*int8"):
            create({**options, "device": "cpu", "compute_type": "int4"})


def test_the_voice_detector_tells_silence() -> None:
    assert whisper.has_speech(np.zeros(RATE, np.float32)) is False
    assert whisper.has_speech(np.zeros(0, np.float32)) is False
