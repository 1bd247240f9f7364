"""Answers whose reader takes nothing, over a core of straw and vLLM's own collectors."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, cast

import pytest
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine.output_processor import RequestOutputCollector

from server.core import CompletionJob, Facts, Finish, TextDelta, Usage
from server.engines.vllm.completion import CompletionReading
from server.engines.vllm.leash import AHEAD
from server.engines.vllm.output import Alike, Choice, RequiredCall, Text
from server.engines.vllm.reading import VllmReading
from server.errors import SlowReader

pytestmark = pytest.mark.anyio


class Core:
    """Generates what it is told to, and counts who was taken out of it."""

    def __init__(self) -> None:
        self.queues: dict[str, RequestOutputCollector] = {}
        self.aborted: list[str] = []
        self.errored = False
        self.tokenizer = None

    async def add_request(self, name: str, *_: Any, **__: Any) -> RequestOutputCollector:
        self.queues[name] = RequestOutputCollector(RequestOutputKind.DELTA, name)
        self.make(name, 1)
        return self.queues[name]

    async def abort(self, names: str | Sequence[str], internal: bool) -> None:
        assert internal
        for name in [names] if isinstance(names, str) else names:
            self.aborted.append(name)
            self.make(name, 0, reason="abort")

    def make(self, name: str, tokens: int, reason: str | None = None) -> None:
        made = CompletionOutput(0, "x" * tokens, list(range(tokens)), None, None, finish_reason=reason)
        self.queues[name].put(RequestOutput(name, None, None, None, [made], reason is not None))


def chat(core: Core, choices: Sequence[Choice] = (Text(0, None),)) -> VllmReading:
    prompt: Any = SimpleNamespace(tokens=3, input={}, sampling=SamplingParams(max_tokens=60_000))
    return VllmReading(cast(Any, core), "chat", prompt, choices, {}, form=None)


def completion(core: Core, prompts: int) -> CompletionReading:
    read: Any = [
        SimpleNamespace(ids=(1, 2), input={}, copies=1, sampling=SamplingParams(max_tokens=60_000))
        for _ in range(prompts)
    ]
    job = CompletionJob(prompts=("a b",) * prompts)
    return CompletionReading(cast(Any, core), "cmpl", job, read, {})


def look(reading: VllmReading | CompletionReading) -> None:
    assert reading._leash is not None
    reading._leash.look()


async def test_a_chat_that_is_too_far_ahead_is_taken_out_of_the_core_and_still_told() -> None:
    core = Core()
    reading = chat(core)
    async with aclosing(reading.run()) as events:
        assert await anext(events) == TextDelta(0, "x", None, 1)
        core.make("chat", AHEAD)
        look(reading)
        assert core.aborted == []
        assert reading.unread == AHEAD
        core.make("chat", 1)
        look(reading)
        assert await anext(events) == TextDelta(0, "x" * (AHEAD + 1), None, AHEAD + 1)
        assert reading.unread == 0
        with pytest.raises(SlowReader):
            await anext(events)
    assert core.aborted == ["chat"]


async def test_what_nobody_took_is_counted_for_every_answer_when_a_chat_is_given_up() -> None:
    core = Core()
    reading = chat(core, [Alike([Text(0, None), Text(1, None)])])
    async with aclosing(reading.run()) as events:
        await anext(events)
        await anext(events)
        core.make("chat", 20)
        assert reading.unread == 40
    assert core.aborted == ["chat"]
    assert reading.unread == 40


async def test_of_alike_answers_those_count_too_that_were_not_told_yet() -> None:
    """As where the first of them settle a vote."""
    core = Core()
    reading = chat(core, [Alike([Text(place, None) for place in range(5)])])
    async with aclosing(reading.run()) as events:
        for _ in range(5):
            await anext(events)
        core.make("chat", 3, reason="stop")
        told = [await anext(events) for _ in range(4)]
    assert told == [TextDelta(0, "xxx", None, 3), Finish(0, "stop"), TextDelta(1, "xxx", None, 3), Finish(1, "stop")]
    assert reading.unread == 3 * 3


async def test_what_a_follower_holds_back_counts_when_a_chat_is_given_up() -> None:
    core = Core()
    reading = chat(core, [RequiredCall(Text(0, None), 0)])  # all of it, until the function has a name
    running = asyncio.create_task(anext(reading.run()))
    while not reading.unread:
        await asyncio.sleep(0)
    core.make("chat", 5)
    while core.queues["chat"].output is not None:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert reading.unread == 1 + 5


async def test_what_several_answers_got_at_once_counts_though_one_was_taken() -> None:
    core = Core()
    reading = chat(core, [Text(0, None), Text(1, None)])
    async with aclosing(reading.run()) as events:
        await anext(events)
        both = [CompletionOutput(place, "x" * 5, [1] * 5, None, None) for place in (0, 1)]
        core.queues["chat"].put(RequestOutput("chat", None, None, None, both, False, num_cached_tokens=2))
        assert await anext(events) == TextDelta(0, "xxxxx", None, 5)
    assert reading.unread == 5


async def test_a_chat_that_is_taken_is_not_cut() -> None:
    core = Core()
    reading = chat(core)
    async with aclosing(reading.run()) as events:
        await anext(events)
        for _ in range(3):
            core.make("chat", AHEAD)
            look(reading)
            await anext(events)
        core.make("chat", 1, reason="stop")
        rest = [event async for event in events]
    assert isinstance(rest[-1], Usage)
    assert rest[-1].completion_tokens == 3 * AHEAD + 2
    assert core.aborted == []


async def test_tokens_without_a_text_yet_count_when_completions_are_given_up() -> None:
    """As those that may become a stop sequence, or are a part of a character."""
    core = Core()
    reading = completion(core, 1)
    async with aclosing(reading.run()) as events:
        await anext(events)
        assert reading.unread == 0
        further = asyncio.create_task(anext(events))
        held = CompletionOutput(0, "", [1, 2, 3], None, None)
        core.queues["cmpl-0"].put(RequestOutput("cmpl-0", None, None, None, [held], False))
        while core.queues["cmpl-0"].output is not None:
            await asyncio.sleep(0)
        further.cancel()
        await asyncio.wait([further])
    assert reading.unread == 3


@pytest.mark.parametrize("prompts", [1, 3])
async def test_completions_are_cut_together(prompts: int) -> None:
    core = Core()
    reading = completion(core, prompts)
    async with aclosing(reading.run()) as events:
        told = sum([event.tokens for event in [await anext(events)] if isinstance(event, TextDelta)])
        for name in core.queues:
            core.make(name, AHEAD + 1)
        look(reading)
        while told < prompts * (AHEAD + 2):
            event = await anext(events)
            assert isinstance(event, TextDelta)
            told += event.tokens
        with pytest.raises(SlowReader):
            await anext(events)
    assert told == prompts * (AHEAD + 2)
    assert sorted(core.aborted) == sorted(core.queues)


async def test_what_of_a_prompt_is_no_text_is_told_before_the_answer() -> None:
    """A chat that is given up says no more of it."""
    places = {
        "image": [SimpleNamespace(length=7, is_embed=None), SimpleNamespace(length=4, is_embed=None)],
        "audio": [SimpleNamespace(length=3, is_embed=None)],
    }
    prompt: Any = SimpleNamespace(tokens=20, input={"mm_placeholders": places}, sampling=SamplingParams(max_tokens=9))
    reading = VllmReading(cast(Any, Core()), "chat", prompt, [Text(0, None)], {}, form=None)
    assert reading.facts == Facts(prompt_tokens=20, room=9, audio_tokens=3, image_tokens=11)
