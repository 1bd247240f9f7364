"""Ultra on transcription: what is heard again, with which context, and which hearing is kept."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from server.core import (
    Event,
    Facts,
    Quality,
    Segment,
    Span,
    Task,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
    Word,
)
from server.engines.base import Engine
from server.engines.fake.engine import FakeEngine
from server.models.config.quality import RelistenedMode
from server.models.config.spec import ModelSpec, Price, WhisperModel
from server.pipeline.modes import plan_for
from server.pipeline.strategies.transcription.listen_again import CONTEXT, Doubt, doubtful, mean_logprob
from tests.pipeline.working import Working, asking

pytestmark = pytest.mark.anyio

ULTRA: dict[str, Any] = {"beam_size": 5, "second_beam": 8, "unsure": -0.5, "padding": 0.3, "vad": None, "tempo": 0.9}


def segment(number: int, start: float, end: float, text: str, logprob: float = -0.2, **fields: Any) -> Segment:
    rest = {"tokens": (1, 2, 3), "temperature": 0.0, "compression_ratio": 1.2, "no_speech_prob": 0.0, **fields}
    return Segment(id=number, seek=0, start=start, end=end, text=text, avg_logprob=logprob, **rest)


def heard(*segments: Segment, seconds: float = 10.0, language: str = "en") -> list[Facts | Event]:
    return [
        Facts(audio_seconds=seconds),
        TranscriptInfo(language, 0.9, seconds),
        *segments,
        Usage(audio_seconds=seconds),
    ]


class Case(Working):
    """A plan at work on a fake engine that answers by `script`: the first pass, then the second."""

    def __init__(self, *script: Iterable[Facts | Event], budget: float | None = None, **mode: Any) -> None:
        spec = WhisperModel.model_validate(
            {"name": "ears", "engine": "whisper", "path": "x", "quality": {"ultra": {**ULTRA, **mode}}}
        )
        job = TranscriptionJob(audio=b"sound", prompt="Names")
        plan = plan_for(asking("ears", quality=Quality.ULTRA, budget=budget), job, Catalog(spec))
        self.engine = FakeEngine(Task.TRANSCRIPTION)
        self.engine.script = list(script)
        super().__init__(plan, self.engine, no_lease)

    async def run(self) -> list[Facts | Event]:
        await self.engine.start()
        return [event async for event in self.events()]

    async def segments(self) -> list[tuple[int, str]]:
        return [(event.id, event.text) for event in await self.run() if isinstance(event, Segment)]

    @property
    def again(self) -> TranscriptionJob:
        assert len(self.engine.jobs) == 2
        job = self.engine.jobs[1]
        assert isinstance(job, TranscriptionJob)
        return job


class Catalog:
    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        assert (name, task) == (self._spec.name, self._spec.tasks[0])
        return self._spec, Price()


def no_lease(spec: ModelSpec) -> AbstractAsyncContextManager[Engine]:
    raise AssertionError(f"{spec.name} is not needed")


SURE = segment(0, 0.0, 2.0, " This is sure.")
UNSURE = segment(1, 2.5, 4.0, " Mist or rain.", -0.9)
AFTER = segment(2, 4.1, 6.0, " The end.")
BETTER = segment(0, 2.5, 4.0, " Mister Rain.", -0.3, span=0)


async def test_a_sure_transcript_is_heard_once() -> None:
    case = Case(heard(SURE, AFTER))
    events = await case.run()
    assert events == heard(SURE, AFTER)
    assert len(case.engine.jobs) == 1
    assert case.work.summary()["passes"] == 1
    assert case.work.notes == []


async def test_the_better_hearing_is_kept_and_numbered() -> None:
    more = segment(1, 3.5, 4.0, " Indeed.", -0.3, span=0)
    case = Case(heard(SURE, UNSURE, AFTER), heard(BETTER, more, seconds=1.9))
    events = await case.run()
    segments = [event for event in events if isinstance(event, Segment)]
    assert [(one.id, one.text, one.span) for one in segments] == [
        (0, " This is sure.", None),
        (1, " Mister Rain.", None),
        (2, " Indeed.", None),
        (3, " The end.", None),
    ]
    assert [type(event) for event in events] == [Facts, TranscriptInfo, *[Segment] * 4, Usage]
    # The same recording is paid for each pass, and only for what the pass hears.
    assert events[-1] == Usage(audio_seconds=11.9)
    assert case.work.notes == ["1 of 3 segments heard again, 1 replaced"]
    assert [one["pass"] for one in case.work.summary()["tokens_by_pass"]] == ["listen", "listen again"]


async def test_what_the_second_pass_is_asked() -> None:
    case = Case(heard(SURE, UNSURE, AFTER, language="de"), heard(BETTER))
    await case.run()
    first, again = case.engine.jobs[0], case.again
    assert isinstance(first, TranscriptionJob)
    assert (first.beam_size, first.spans) == (5, ())
    # It starts 0.3 s early, and ends where the next segment begins.
    assert again.spans == (Span(2.2, 4.1, "This is sure."),)
    assert (again.beam_size, again.fallback, again.language, again.prompt) == (8, True, "de", "Names")
    assert (first.tempo, again.tempo) == (1.0, 0.9)


async def test_the_less_probable_hearing_is_not_kept() -> None:
    worse = segment(0, 2.5, 4.0, " Mistral rain.", -1.2, span=0)
    case = Case(heard(SURE, UNSURE, AFTER), heard(worse))
    assert await case.segments() == [(0, SURE.text), (1, UNSURE.text), (2, AFTER.text)]
    assert case.work.notes == ["1 of 3 segments heard again, 0 replaced"]


@pytest.mark.parametrize(
    "other",
    [
        [],
        [segment(0, 2.5, 4.0, " ", -0.1, span=0)],
        [segment(0, 2.5, 4.0, " no no no no no", -0.1, compression_ratio=3.0, span=0)],
    ],
    ids=["nothing", "blank", "going round in circles"],
)
async def test_a_hearing_that_makes_no_sense_is_not_kept(other: list[Segment]) -> None:
    case = Case(heard(SURE, UNSURE), heard(*other))
    assert await case.segments() == [(0, SURE.text), (1, UNSURE.text)]


async def test_sense_counts_more_than_probability() -> None:
    circles = segment(0, 0.0, 4.0, " no no no no", -0.1, compression_ratio=4.0)
    sense = segment(0, 0.0, 4.0, " No, I do not know.", -0.6, span=0)
    assert await Case(heard(circles), heard(sense)).segments() == [(0, sense.text)]


async def test_words_come_with_their_segments() -> None:
    word = Word(" Mister", 2.6, 3.0)
    case = Case(heard(SURE, UNSURE), heard(segment(0, 2.5, 4.0, " Mister", -0.1, words=(word,), span=0)))
    events = await case.run()
    assert [event.words for event in events if isinstance(event, Segment)] == [(), (word,)]


async def test_segments_before_the_doubt_are_told_at_once() -> None:
    case = Case(heard(SURE, UNSURE, AFTER), heard(BETTER))
    await case.engine.start()
    events = case.events()
    seen = [await anext(events) for _ in range(3)]
    assert seen[2] == SURE
    assert case.engine.finished == 0
    assert [e.text async for e in events if isinstance(e, Segment)] == [BETTER.text, AFTER.text]


async def test_a_second_pass_that_fails_leaves_the_first() -> None:
    case = Case(heard(SURE, UNSURE, AFTER))
    case.engine.script.append(breaking(case.engine))
    assert await case.segments() == [(0, SURE.text), (1, UNSURE.text), (2, AFTER.text)]
    assert case.work.notes[0].startswith("a pass was given up")
    assert case.work.usage.audio_seconds == 10.0


def breaking(engine: FakeEngine) -> Iterable[Facts | Event]:
    """Dies once it has heard something."""
    yield Facts(audio_seconds=1.0)
    engine.die()
    yield BETTER


async def test_what_was_heard_in_time_counts() -> None:
    other = segment(2, 4.1, 6.0, " Guess.", -0.9)
    case = Case(
        heard(SURE, UNSURE, segment(2, 4.1, 4.2, " Mm."), other),
        heard(BETTER, segment(1, 4.2, 5.0, " Yes", -0.1, span=1)),
        budget=0.05,
    )
    case.engine.gate.close()
    # All of the first pass; of the second, `Facts`, the info, and a segment of each span, but not their end.
    case.engine.gate.let(7 + 4)
    assert await case.segments() == [(0, SURE.text), (1, BETTER.text), (2, " Mm."), (3, " Guess.")]
    assert case.work.notes == ["the time budget was used up", "2 of 4 segments heard again, 1 replaced"]
    assert case.engine.cut_short == 1


class TestDoubts:
    MODE = RelistenedMode(unsure=-0.5, padding=0.0, tempo=1.0)

    def test_what_is_in_doubt(self) -> None:
        segments = [
            segment(0, 0, 1, " a", -0.5),
            segment(1, 1, 2, " b", -0.51),
            segment(2, 2, 3, " c"),
            segment(3, 3, 4, " d", temperature=0.2),
            segment(4, 4, 5, " e"),
            segment(5, 5, 6, " f", compression_ratio=2.5),
        ]
        assert doubtful(segments, self.MODE) == [Doubt(1, 1), Doubt(3, 3), Doubt(5, 5)]

    def test_neighbours_are_heard_as_one_as_far_as_whisper_hears_at_once(self) -> None:
        segments = [segment(i, i * 10, i * 10 + 10, " a", -0.9) for i in range(5)]
        assert doubtful(segments, self.MODE) == [Doubt(0, 2), Doubt(3, 4)]
        slower = RelistenedMode(unsure=-0.5, padding=0.0, tempo=0.8)
        assert doubtful(segments, slower) == [Doubt(0, 1), Doubt(2, 3), Doubt(4, 4)]

    async def test_spans_are_in_order_and_apart(self) -> None:
        long = " word" * 400
        segments = [
            segment(0, 0.0, 20.0, long, -0.9),
            segment(1, 20.2, 45.0, " b", -0.9),
            segment(2, 45.0, 50.0, " c"),
            segment(3, 50.0, 51.0, " d", -0.9),
        ]
        case = Case(heard(*segments, seconds=51.0), heard())
        await case.run()
        assert [(span.start, span.end) for span in case.again.spans] == [(0.0, 20.2), (20.2, 45.0), (50.0, 51.0)]
        assert case.again.spans[0].context == ""
        assert len(case.again.spans[1].context) <= CONTEXT
        assert case.again.spans[2].context.endswith("word b c")


def test_a_segment_counts_by_its_tokens() -> None:
    long = segment(0, 0, 1, " a", -0.2, tokens=tuple(range(9)))
    assert mean_logprob([long, segment(1, 1, 2, " b", -1.2, tokens=(1,))]) == pytest.approx(-0.3)
