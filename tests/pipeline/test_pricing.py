"""What work costs: bounds before it, the bill after it."""

from decimal import Decimal

import pytest

from server.core import ChatJob, Facts, ImageJob, Job, SpeechJob, Task, TranscriptionJob, Usage
from server.models.config.spec import DiffusersModel, FakeModel, Price
from server.pipeline.plan import Plan
from server.pipeline.pricing import affordable_tokens, bound, cost
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import Bound

PRICE = Price(
    prompt_token=Decimal("0.0004"),
    completion_token=Decimal("0.002"),
    audio_second=Decimal("0.001"),
    character=Decimal("0.0001"),
    image=Decimal("0.5"),
    image_step=Decimal("0.01"),
)
PAINTER = DiffusersModel(name="painter", engine="diffusers", path="x", size=(64, 64), steps=20)


def plan(job: Job, *, limited: bool = True) -> Plan:
    spec = PAINTER if isinstance(job, ImageJob) else FakeModel(name="f", engine="fake", serves=Task.CHAT)
    strategy = Single(job, getattr(job, "n", 1))
    return Plan(spec=spec, model="m", job=job, price=PRICE, strategy=strategy, limited=limited)


def paid(job: Job, used: Usage) -> Decimal:
    one = plan(job)
    return cost(one, one.passes[0], used)


def chat(n: int = 1) -> ChatJob:
    return ChatJob(messages=({"role": "user", "content": "x"},), n=n, max_tokens=100)


def test_a_chat_may_cost_its_prompt_and_all_its_room() -> None:
    accepted = Facts(prompt_tokens=10, room=100)
    assert bound(plan(chat()), accepted) == Bound(Decimal("0.204"), Decimal("0.204"))
    assert bound(plan(chat(n=3)), accepted).most == Decimal("0.604")


def test_without_a_limit_of_the_clients_one_token_is_worth_beginning() -> None:
    found = bound(plan(chat(n=2), limited=False), Facts(prompt_tokens=10, room=100))
    assert found == Bound(most=Decimal("0.404"), least=Decimal("0.008"), usual=Decimal("0.404"))


def test_room_that_the_balance_does_not_fill_is_held_by_half() -> None:
    found = bound(plan(chat(), limited=False), Facts(prompt_tokens=10, room=4000))
    most, usual = Decimal("8.004"), Decimal("0.516")
    assert (found.most, found.usual) == (most, usual)
    shares = [found.share(Decimal(available)) for available in (9, 8, 2, 1, "0.2")]
    assert shares == [most, 4, 1, usual, usual]


@pytest.mark.parametrize(("held", "tokens"), [("0.204", 100), ("0.0239", 9), ("0.006", 1), ("0.0059", 0)])
def test_what_is_held_says_how_long_the_answer_may_be(held: str, tokens: int) -> None:
    assert affordable_tokens(plan(chat()), Facts(prompt_tokens=10, room=100), Decimal(held)) == tokens


def test_the_choices_share_what_is_held() -> None:
    assert affordable_tokens(plan(chat(n=3)), Facts(prompt_tokens=10, room=100), Decimal("0.064")) == 10


def test_media_are_bounded_by_what_is_known_of_them() -> None:
    hearing = TranscriptionJob(audio=b"")
    assert bound(plan(hearing), Facts(audio_seconds=2.5)).most == Decimal("0.0025")
    assert bound(plan(SpeechJob(text="hello")), Facts()).most == Decimal("0.0005")
    assert bound(plan(ImageJob(prompt="x", n=2)), Facts()).most == Decimal("1.4")


def test_an_image_costs_by_its_area_and_its_steps() -> None:
    large = ImageJob(prompt="x", width=128, height=128, steps=4)
    assert paid(large, Usage(images=1)) == Decimal("2.04")


def test_the_bill_is_exact() -> None:
    used = Usage(prompt_tokens=10, completion_tokens=25)
    assert paid(chat(), used) == Decimal("0.054")
    assert paid(SpeechJob(text="x"), Usage(characters=17)) == Decimal("0.0017")
    hearing = TranscriptionJob(audio=b"")
    assert paid(hearing, Usage(audio_seconds=7.61, completion_tokens=9)) == Decimal("0.00761")
