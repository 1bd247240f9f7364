"""What a run is billed for: the engine's own figures at the end, the count of its events when it was cut short."""

from server.core import (
    AudioChunk,
    Facts,
    Finish,
    Picture,
    Read,
    ReasoningDelta,
    Segment,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from server.pipeline.metering import Meter


def test_tokens_of_every_kind_are_counted() -> None:
    meter = Meter(Facts(prompt_tokens=7))
    for event in (ReasoningDelta(0, "hm", 2), TextDelta(0, "a", None, 3), ToolCallDelta(0, 0, "{}", tokens=4)):
        meter.count(event)
    meter.count(Finish(0, "stop", 1))
    assert meter.usage == Usage(prompt_tokens=7, completion_tokens=10, reasoning_tokens=2)
    assert not meter.complete
    meter.count_unread(5, cached=6)
    assert meter.usage == Usage(prompt_tokens=7, completion_tokens=15, reasoning_tokens=2, cached_tokens=6)


def test_media_is_counted_as_it_leaves() -> None:
    meter = Meter(Facts())
    meter.count(AudioChunk(b"x", 12))
    meter.count(AudioChunk(b"y", 5))
    meter.count(Segment(0, 0, 0.0, 2.5, "a", (), 0.0, 0.0, 1.0, 0.0))
    meter.count(Segment(1, 0, 2.5, 4.0, "b", (), 0.0, 0.0, 1.0, 0.0))
    meter.count(Picture(0, b"", 8, 8, partial=0))
    meter.count(Picture(0, b"", 8, 8))
    assert meter.usage == Usage(characters=17, audio_seconds=4.0, images=1)


def test_the_engines_own_figures_win() -> None:
    meter = Meter(Facts(prompt_tokens=7))
    meter.count(TextDelta(0, "a", None, 3))
    usage = Usage(prompt_tokens=7, completion_tokens=4, cached_tokens=2)
    meter.count(usage)
    assert meter.complete
    assert meter.usage is usage


def test_stretches_of_a_recording_count_no_more_than_their_length() -> None:
    meter = Meter(Facts(audio_seconds=3.0))
    meter.count(Segment(0, 0, 60.0, 62.5, "a", (), 0.0, 0.0, 1.0, 0.0))
    assert meter.usage.audio_seconds == 3.0


def test_what_was_read_so_far_is_counted_where_the_engine_tells_it() -> None:
    meter = Meter(Facts(prompt_tokens=10))
    meter.count(Read(4))
    assert meter.usage == Usage(prompt_tokens=4)
    meter.count(Read(3))
    assert meter.usage == Usage(prompt_tokens=7)
    meter.count(Usage(prompt_tokens=10))
    assert meter.usage == Usage(prompt_tokens=10)


def test_a_prompt_stands_for_as_many_pictures_and_sounds_however_early_its_answer_ends() -> None:
    meter = Meter(Facts(prompt_tokens=20, audio_tokens=3, image_tokens=11))
    meter.count(TextDelta(0, "a", None, 1))
    assert meter.usage == Usage(prompt_tokens=20, completion_tokens=1, audio_tokens=3, image_tokens=11)
