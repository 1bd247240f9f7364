"""The fake engines keep the engines' contract, since the whole API is tested over them."""

import asyncio
import io
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from PIL import Image

from server.core import (
    AudioChunk,
    ChatJob,
    Event,
    Facts,
    Finish,
    ImageJob,
    Job,
    Picture,
    ReasoningDelta,
    Segment,
    SpeechJob,
    Task,
    TextDelta,
    Tool,
    ToolCallDelta,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
)
from server.engines.fake.engine import KEPT, FakeEngine
from server.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, ModelUnavailable
from tests.reading import ran

pytestmark = pytest.mark.anyio


def chat(**fields: Any) -> ChatJob:
    return ChatJob(messages=({"role": "user", "content": "say a few words"},), **fields)


async def started(task: Task, **options: Any) -> FakeEngine:
    engine = FakeEngine(task, options)
    await engine.start()
    return engine


async def events(task: Task, job: Job, **options: Any) -> list[Event]:
    engine = await started(task, **options)
    collected = [event async for event in ran(engine, job)]
    assert isinstance(collected[0], Facts)
    assert isinstance(collected[-1], Usage)
    assert not any(isinstance(event, Facts | Usage) for event in collected[1:-1])
    assert (engine.started, engine.finished, engine.cut_short, engine.running) == (1, 1, 0, 0)
    return collected


async def test_a_chat_says_its_text_and_counts_it() -> None:
    answered = await events(Task.CHAT, chat())
    assert "".join(event.text for event in answered if isinstance(event, TextDelta)) == "Hello from the fake engine."
    assert answered[0] == Facts(prompt_tokens=4, room=4092)
    assert answered[-2:] == [Finish(0, "stop"), Usage(prompt_tokens=4, completion_tokens=5)]


async def test_limits_and_stops_are_honoured() -> None:
    answered = await events(Task.CHAT, chat(max_tokens=2, n=2))
    assert [event for event in answered if isinstance(event, TextDelta)] == [
        TextDelta(0, "Hello", tokens=1),
        TextDelta(1, "Hello", tokens=1),
        TextDelta(0, " from", tokens=1),
        TextDelta(1, " from", tokens=1),
    ]
    assert [event.reason for event in answered if isinstance(event, Finish)] == ["length", "length"]
    stopped = await events(Task.CHAT, chat(stop=(" fake",)))
    assert "".join(event.text for event in stopped if isinstance(event, TextDelta)) == "Hello from the"


async def test_a_forced_tool_is_called() -> None:
    tools = (Tool("f"), Tool("g"))
    answered = await events(Task.CHAT, chat(tools=tools, tool_choice=("g",)), call={"name": "f", "arguments": {"a": 1}})
    calls = [event for event in answered if isinstance(event, ToolCallDelta)]
    assert (calls[0].name, calls[0].id) == ("g", "call_fake0")
    assert "".join(call.arguments for call in calls) == '{"a": 1}'


async def test_an_automatic_choice_calls_only_what_the_script_says() -> None:
    tools = (Tool("f"),)
    plain = await events(Task.CHAT, chat(tools=tools, tool_choice="auto"))
    assert not any(isinstance(event, ToolCallDelta) for event in plain)
    called = await events(Task.CHAT, chat(tools=tools, tool_choice="auto"), call={"name": "f"})
    assert Finish(0, "tool_calls") in called


async def test_reasoning_comes_first_and_is_counted() -> None:
    answered = await events(Task.CHAT, chat(), reasoning="let me think")
    assert "".join(event.text for event in answered if isinstance(event, ReasoningDelta)) == "let me think"
    usage = answered[-1]
    assert isinstance(usage, Usage)
    assert (usage.completion_tokens, usage.reasoning_tokens) == (8, 3)


async def test_tokens_for_benchmarks() -> None:
    answered = await events(Task.CHAT, chat(max_tokens=200), tokens=200)
    assert sum(isinstance(event, TextDelta) for event in answered) == 200


async def test_a_transcript_has_its_segments_and_words_in_order() -> None:
    job = TranscriptionJob(audio=b"x", words=True)
    answered = await events(Task.TRANSCRIPTION, job, text="One two. Three.", duration=4.0)
    assert answered[1] == TranscriptInfo("en", 0.99, 4.0)
    first, second = (event for event in answered if isinstance(event, Segment))
    assert (first.text, first.start, first.end) == (" One two.", 0.0, 2.0)
    assert [(word.word, word.start, word.end) for word in first.words] == [(" One", 0.0, 1.0), (" two.", 1.0, 2.0)]
    assert (second.text, second.end) == (" Three.", 4.0)


async def test_speech_is_the_text_in_pieces() -> None:
    answered = await events(Task.SPEECH, SpeechJob(text="One two."))
    assert b"".join(event.data for event in answered if isinstance(event, AudioChunk)) == b"One two."
    assert answered[-1] == Usage(characters=8)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
async def test_pictures_depend_on_the_seed_alone(kind: Any) -> None:
    job = ImageJob(prompt="a cat", n=2, width=32, height=16, seed=7, partial_images=1, format=kind)
    pictures = [event for event in await events(Task.IMAGE, job) if isinstance(event, Picture)]
    assert [(picture.index, picture.partial, picture.seed) for picture in pictures] == [
        (0, 0, None),
        (0, None, 7),
        (1, 0, None),
        (1, None, 8),
    ]
    drawn = Image.open(io.BytesIO(pictures[1].data))
    assert (drawn.size, drawn.format) == ((32, 16), kind.upper())
    assert pictures[1].data != pictures[3].data
    again = await events(Task.IMAGE, job)
    assert again[2] == pictures[1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"refuse": "no"}, InvalidRequest),
        ({"context": 3}, ContextLengthExceeded),
        ({"fail": True}, EngineFailed),
    ],
)
async def test_failures_before_accepted(options: dict[str, Any], error: type[Exception]) -> None:
    engine = await started(Task.CHAT, **options)
    with pytest.raises(error):
        await anext(ran(engine, chat()))
    assert engine.running == 0
    assert engine.alive


async def test_a_start_that_fails() -> None:
    with pytest.raises(ModelUnavailable, match="no weights"):
        await started(Task.CHAT, fail_start="no weights")


async def test_death_in_the_middle_takes_every_job_along() -> None:
    engine = await started(Task.CHAT)
    streams: list[AsyncGenerator[Event, None]] = [ran(engine, chat()) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    engine.die()
    for stream in streams:
        with pytest.raises(EngineFailed):
            await anext(stream)
    assert (engine.running, engine.cut_short, engine.alive) == (0, 2, False)
    with pytest.raises(EngineFailed):
        await anext(ran(engine, chat()))


async def test_dying_after_a_number_of_events() -> None:
    engine = await started(Task.CHAT, die_after=2)
    stream = ran(engine, chat())
    answered = [await anext(stream) for _ in range(3)]
    assert answered[1:] == [TextDelta(0, "Hello", tokens=1), TextDelta(0, " from", tokens=1)]
    with pytest.raises(EngineFailed):
        await anext(stream)
    assert not engine.alive


async def test_the_gate_holds_and_lets_pass() -> None:
    engine = await started(Task.CHAT)
    engine.gate.close()
    answered: list[Event] = []

    async def collect() -> None:
        async for event in ran(engine, chat()):
            answered.append(event)  # noqa: PERF401 - watched while it grows

    task = asyncio.create_task(collect())
    await engine.gate.until_waiting()
    assert answered == []
    assert engine.running == 1
    engine.gate.let(2)
    await engine.gate.until_waiting()  # not at once: the job that waits has yet to pass
    assert (len(answered), engine.gate.left) == (2, 0)
    engine.gate.open()
    await task
    assert isinstance(answered[-1], Usage)


async def test_closing_a_job_counts_it_as_cut_short() -> None:
    engine = await started(Task.CHAT)
    stream = ran(engine, chat())
    await anext(stream)
    await stream.aclose()
    await engine.until_idle()
    assert (engine.finished, engine.cut_short, engine.running) == (0, 1, 0)


async def test_only_the_last_jobs_are_remembered() -> None:
    engine = FakeEngine(Task.CHAT)
    await engine.start()
    for number in range(5 * KEPT):
        reading = await engine.read(chat(seed=number))
        await reading.aclose()
    assert KEPT <= len(engine.jobs) <= 2 * KEPT
    assert engine.jobs[-1] == chat(seed=5 * KEPT - 1)
    assert engine.started == 5 * KEPT
