"""A batch beside chats in vLLM's own processes: the chats go first, and the batch's answers are what they would be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from server.core import ChatJob, CompletionJob, Finish, TextDelta
from server.core.caller import CLASS
from server.engines.base import Engine
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.engines.vllm.scheduler import TURN
from server.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]

PLACES = 32
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def engine(anyio_backend: str) -> AsyncIterator[VllmEngine]:
    """Its cache holds 40 blocks of 128 tokens: fewer than 32 answers may grow to."""
    path = load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    assert path.is_dir(), "scripts/models brings the starter models"
    few = {"max_model_len": 512, "max_num_batched_tokens": 128, "max_num_seqs": PLACES}
    block = 2 * 128 * 30 * 3 * 64 * 4
    made = VllmEngine(VllmOptions(name="chat", path=path, dtype="float32", kv_cache=40 * block, **few))  # type: ignore[arg-type]
    await made.start()
    yield made
    await made.stop()


async def told(engine: Engine, job: CompletionJob | ChatJob, begun: asyncio.Event | None = None) -> list[Any]:
    """Each token of a job, with its log-probability."""
    found: list[Any] = []
    async with aclosing(await engine.read(job)) as reading:
        async for event in reading.run():
            if isinstance(event, TextDelta):
                found += [(one.id, one.logprob) for one in event.logprobs or ()]
                if begun is not None:
                    begun.set()
    return found


def batch() -> list[CompletionJob | ChatJob]:
    """Short and long prompts, greedy and drawn, with log-probabilities, and bound to a form."""
    long = " ".join(f"{number} bottles of beer on the wall." for number in range(30))
    texts = ["The capital of Japan is", "Once upon a time", "def add(a, b):", long]
    fields: dict[str, Any] = {"max_tokens": 40, "top_logprobs": 0, "ignore_eos": True}
    jobs: list[CompletionJob | ChatJob] = [CompletionJob(prompts=(text,), temperature=0.0, **fields) for text in texts]
    jobs += [CompletionJob(prompts=(texts[1],), temperature=1.0, seed=seed, **fields) for seed in (1, 2)]
    asked = ({"role": "user", "content": "Describe a person."},)
    jobs.append(ChatJob(messages=asked, output_schema=SCHEMA, temperature=0.0, max_tokens=40, top_logprobs=0))
    return jobs


async def test_answers_that_were_held_back_are_what_they_would_have_been(engine: VllmEngine) -> None:
    assert engine.yields
    jobs, below = batch(), engine.behind(CLASS)
    undisturbed = await asyncio.gather(*(told(below, job) for job in jobs))
    begun = [asyncio.Event() for _ in jobs]
    chat = CompletionJob(prompts=("A story:",), max_tokens=30, ignore_eos=True, top_logprobs=0)
    async with asyncio.TaskGroup() as group:
        again = [group.create_task(told(below, job, one)) for job, one in zip(jobs, begun, strict=True)]
        for one in begun[:3]:
            await one.wait()
            await told(engine, chat)
    for before, after in zip(undisturbed, (task.result() for task in again), strict=True):
        assert [token for token, _ in after] == [token for token, _ in before]
        assert [value for _, value in after] == pytest.approx([value for _, value in before], abs=0.001)


async def test_a_chat_beside_a_full_batch_waits_for_one_step(engine: VllmEngine) -> None:
    below, made = engine.behind(CLASS), 0
    full, more = asyncio.Event(), asyncio.Event()
    speaking: set[int] = set()
    waits, turns = [], []

    async def stream(number: int) -> None:
        nonlocal made
        job = CompletionJob(prompts=(f"Story {number}:",), max_tokens=300, ignore_eos=True)
        async with aclosing(await below.read(job)) as reading, aclosing(reading.run()) as events:
            async for event in events:
                made += getattr(event, "tokens", 0)
                speaking.add(number)
                more.set()
                if len(speaking) == PLACES:
                    full.set()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stream(number)) for number in range(PLACES)]
        await full.wait()
        for asked in range(3):
            job = CompletionJob(prompts=(f"Question {asked}:",), max_tokens=TURN - 2, ignore_eos=True)
            async with aclosing(await engine.read(job)) as reading:
                before, first = made, None
                async for event in reading.run():
                    if isinstance(event, TextDelta) and first is None:
                        first = made - before
            assert first is not None
            waits.append(first)
            turns.append(made - before)
            # And the batch goes on.
            now = made
            while made < now + PLACES:
                more.clear()
                await more.wait()
        for task in tasks:
            task.cancel()
    assert engine.running == 0
    # The step that was under way, and what of the one before it had not been said yet. The best of three: what this
    # process has not read yet counts too, where the machine is busy. Without yielding all of them wait for a place.
    assert min(waits) <= 2 * PLACES
    assert min(turns) <= 3 * PLACES  # one turn of the batch at most


async def test_a_chat_takes_the_memory_of_a_batch_which_goes_on_afterwards(engine: VllmEngine) -> None:
    below = engine.behind(CLASS)
    jobs = [
        CompletionJob(prompts=((7 + number, *range(1000, 1100)),), max_tokens=80, ignore_eos=True, temperature=0.0,
            top_logprobs=0) for number in range(20)
    ]  # fmt: skip
    alone = [await told(below, job) for job in jobs[:2]]
    begun = [asyncio.Event() for _ in jobs]
    async with asyncio.TaskGroup() as group:
        again = [group.create_task(told(below, job, one)) for job, one in zip(jobs, begun, strict=True)]
        for one in begun:
            await one.wait()
        # Twenty hold a block of 128 tokens each, and take another soon; three of these want four each.
        chats = [CompletionJob(prompts=((number, *range(2000, 2440)),), max_tokens=5) for number in range(40, 43)]
        ended = await asyncio.gather(*(whole(engine, chat) for chat in chats))
    assert ended == [True] * 3
    assert [len(task.result()) for task in again] == [80] * 20
    for before, task in zip(alone, again, strict=False):
        assert [token for token, _ in task.result()] == [token for token, _ in before]


async def whole(engine: Engine, job: CompletionJob) -> bool:
    async with aclosing(await engine.read(job)) as reading:
        return any([isinstance(event, Finish) async for event in reading.run()])
