"""The fake engine's steps: jobs make an event each together, and only so many at a time."""

import asyncio

import pytest

from server.core import ChatJob, Task
from server.engines.fake.engine import FakeEngine
from server.engines.fake.steps import Steps
from tests.reading import ran

pytestmark = pytest.mark.anyio

STEP = 0.001


async def test_jobs_in_a_batch_go_on_together_and_others_wait_for_a_place() -> None:
    steps, made = Steps(STEP, 0, sequences=2), list[str]()

    async def work(name: str, events: int) -> None:
        for _ in range(events):
            await steps.through(name)
            made.append(name)
        steps.left(name)

    await asyncio.gather(work("a", 2), work("b", 4), work("c", 1))
    # The first step began before b came; c has a place once a has left.
    assert made[:3] == ["a", "a", "b"]
    assert made[3:] == ["b", "c", "b", "b"]


async def test_a_job_that_leaves_while_it_waits_is_forgotten() -> None:
    steps = Steps(STEP, 0, sequences=1)
    first = asyncio.create_task(steps.through("first"))
    gone = asyncio.create_task(steps.through("gone"))
    await first
    gone.cancel()
    await asyncio.wait([gone])
    steps.left("gone")
    steps.left("first")
    await steps.through("next")


async def test_an_engine_with_steps_answers_as_one_without() -> None:
    job = ChatJob(messages=({"role": "user", "content": "say a few words"},))
    plain, stepping = FakeEngine(Task.CHAT), FakeEngine(Task.CHAT, {"step": STEP, "sequences": 1})
    answers = []
    for engine in (plain, stepping):
        await engine.start()
        answers.append([event async for event in ran(engine, job)])
        assert engine.running == 0
    assert answers[0] == answers[1]
    assert (plain.places, stepping.places) == (256, 1)
