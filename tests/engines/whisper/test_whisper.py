"""The transcription handler over a model of straw: what it asks of the model, and what it makes of the answers."""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.core import ChatJob, Event, Facts, Segment, Span, TranscriptInfo, TranscriptionJob, Usage, Word
from server.engines.whisper import handler as whisper
from server.engines.whisper.fallback import LADDER, Budget
from server.engines.whisper.handler import WhisperHandler, WhisperOptions, create
from server.engines.whisper.reading import EDGE, PIECE, Wave
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
    return WhisperHandler(model, WhisperOptions(path="", **options), lambda _: hears)


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


class TestLongAudio:
    """A recording longer than a piece: each piece begins where the last whole segment ended."""

    LENGTH = PIECE + 20

    def test_a_segment_at_the_edge_is_heard_again(self) -> None:
        model = StrawModel(
            [RawSegment(0.0, 290.0, " One.", seek=0), RawSegment(295.0, 300.0, " Cut")],
            [RawSegment(0.0, 6.0, " Cut no more.", seek=0), RawSegment(6.0, 25.0, " End.", seek=600)],
        )
        events = run(model, job(self.LENGTH, prompt="Names"))
        assert [(e.id, e.start, e.end, e.text, e.seek) for e in events if isinstance(e, Segment)] == [
            (0, 0.0, 290.0, " One.", 0),
            (1, 295.0, 301.0, " Cut no more.", 29_500),
            (2, 301.0, 320.0, " End.", 30_100),
        ]
        assert [asked["seconds"] for asked in model.asked] == [PIECE, 25.0]
        assert model.asked[1]["wave"][0] * 32768 == 295 * RATE // 1000
        assert [asked["initial_prompt"] for asked in model.asked] == ["Names", "Names"]
        assert events[-1] == Usage(audio_seconds=self.LENGTH)
        assert model.closed == 2

    def test_the_language_is_detected_once(self) -> None:
        model = StrawModel([], [], detected="fr")
        events = run(model, job(self.LENGTH))
        assert [asked["language"] for asked in model.asked] == [None, "fr"]
        assert [e for e in events if isinstance(e, TranscriptInfo)] == [TranscriptInfo("fr", 1.0, self.LENGTH)]

    def test_silence_at_the_edge_overlaps_a_little(self) -> None:
        model = StrawModel([RawSegment(0.0, 10.0, " One.")], [])
        run(model, job(self.LENGTH))
        assert model.asked[1]["seconds"] == 20 + EDGE

    def test_a_segment_that_fills_the_piece_goes_out_as_it_is(self) -> None:
        model = StrawModel([RawSegment(0.0, PIECE, " Endless.")], [RawSegment(0.0, 1.0, " Rest.")])
        assert texts(run(model, job(self.LENGTH))) == [" Endless.", " Rest."]
        assert model.asked[1]["seconds"] == 20

    def test_a_rest_too_short_for_a_piece_goes_along(self) -> None:
        model = StrawModel([RawSegment(0.0, PIECE + 1, " All.")])
        assert texts(run(model, job(PIECE + EDGE - 0.5))) == [" All."]


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
    events = handled(handler(model), job(100.0))
    seen: list[Event] = []
    for event in events:
        if event is not None:
            seen.append(event)
        if len(seen) == 4:
            break
    events.close()  # type: ignore[attr-defined]
    assert texts(seen) == [" 0", " 1"]
    assert drawn == [0, 1]


def test_long_audio_can_be_cancelled_while_it_is_decoded() -> None:
    events = handled(handler(StrawModel([])), job(2 * PIECE))
    assert isinstance(next(events), Facts)
    assert next(events) is None


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
