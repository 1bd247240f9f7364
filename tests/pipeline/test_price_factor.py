"""A request at a part of its price: every figure that is worked out of it is that part, exactly."""

from decimal import Decimal

import pytest

from server.core import (
    ChatJob,
    CompletionJob,
    EmbeddingJob,
    Facts,
    ImageJob,
    Job,
    Quality,
    SpeechJob,
    Task,
    TranscriptionJob,
    Usage,
)
from server.models.config.spec import DiffusersModel, FakeModel, ModelSpec, Price
from server.pipeline.modes import plan_for
from server.pipeline.plan import Plan
from server.pipeline.pricing import affordable_tokens, bound, cost, foreseen, least
from tests.pipeline.working import asking

D = Decimal
PRICE = Price(
    prompt_token=D("0.000000001"),
    completion_token=D("0.0004"),
    audio_second=D("0.007"),
    character=D("0.0001"),
    image=D("0.3"),
    image_step=D("0.01"),
)
MODELS: dict[Task, ModelSpec] = {
    task: FakeModel(
        name=f"fake-{task}",
        engine="fake",
        serves=task,
        quality={"ultra": {"takes": 3, "transcriber": "reader"}} if task is Task.SPEECH else {},
    )
    for task in Task
} | {Task.IMAGE: DiffusersModel(name="painter", engine="diffusers", path="x", size=(64, 64), steps=20)}
FACTS = Facts(prompt_tokens=7, room=90, audio_seconds=7.61)
USED = Usage(prompt_tokens=7, completion_tokens=13, audio_seconds=7.61, characters=11, images=1)
CHAT = ChatJob(messages=({"role": "user", "content": "how are you?"},), max_tokens=90)
JOBS = {
    "chat": CHAT,
    "an open-ended chat": ChatJob(messages=CHAT.messages),
    "completion": CompletionJob(prompts=("one two",), max_tokens=5),
    "embedding": EmbeddingJob(inputs=("one two",)),
    "image": ImageJob(prompt="x", n=3, width=96, height=32),
    "speech": SpeechJob(text="hello there"),
    "transcription": TranscriptionJob(audio=b"x"),
}


class Shop:
    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        return MODELS[task], PRICE


def planned(job: Job, factor: str) -> Plan:
    quality = Quality.ULTRA if job.task is Task.SPEECH else Quality.MEDIUM
    return plan_for(asking(quality=quality, price_factor=D(factor)), job, Shop())


@pytest.mark.parametrize("factor", ["0.5", "0.333", "3", "0"])
@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_it_is_that_part_of_what_it_would_be(job: Job, factor: str) -> None:
    whole, part, times = planned(job, "1"), planned(job, factor), D(factor)
    for before, now in ((bound(whole, FACTS), bound(part, FACTS)), (foreseen(whole), foreseen(part))):
        assert (now.most, now.least) == (before.most * times, before.least * times)
        assert now.usual == (None if before.usual is None else before.usual * times)
    assert [cost(part, one, USED) for one in part.passes] == [cost(whole, one, USED) * times for one in whole.passes]
    if job.task is not Task.TRANSCRIPTION:  # whose least is the ledger's own
        assert least(part) == least(whole) * times


def test_other_models_that_help_cost_that_part_too() -> None:
    part = planned(JOBS["speech"], "0.5")
    assert len(part.passes) > 1
    reader = next(one for one in part.passes if one.by is not None)
    assert cost(part, reader, Usage(audio_seconds=2)) == D("0.007")


@pytest.mark.parametrize("factor", ["0.5", "0.3", "0.7", "1.1"])
def test_what_is_held_buys_as_many_tokens_as_it_was_held_for(factor: str) -> None:
    part = planned(CHAT, factor)
    for room in range(1, 91):
        held = bound(part, Facts(prompt_tokens=7, room=room)).most
        assert affordable_tokens(part, FACTS, held) == room
    assert affordable_tokens(planned(CHAT, "0"), FACTS, D(0)) is None, "nothing sets a limit to what is free"
