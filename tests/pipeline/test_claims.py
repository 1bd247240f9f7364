"""What a request claims of a model's queue: its class, its size, its places, its account's weight."""

from decimal import Decimal
from typing import Any

import pytest

from server.core import Ask, Caller, ChatJob, Claim, CompletionJob, Job, Task
from server.core.caller import Priority
from server.errors import ModelNotFound, RateLimited
from server.models.config.spec import FakeModel, ModelSpec, Price
from server.pipeline.modes import plan_for
from server.pipeline.run import claim_of
from server.settings import Settings
from server.testing import FakeServer
from tests.pipeline.test_billing import bank_with

pytestmark = pytest.mark.anyio

ULTRA = {"ultra": {"drafts": 5, "judge": True}}


class One:
    """A catalog of one fake model."""

    def __init__(self, **fields: Any) -> None:
        self.spec = FakeModel(name="fake", engine="fake", serves=(Task.CHAT, Task.COMPLETION), **fields)

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        if name != "fake":
            raise ModelNotFound.named(name)
        return self.spec, Price(prompt_token=Decimal(1))


def claim(
    job: Job, key: Priority = Priority.NORMAL, asked: Priority | None = None, model: str = "fake", **fields: Any
) -> Claim:
    catalog = One(**fields)
    ask = Ask(caller=Caller("key", "account", priority=key, weight=3), model=model, priority=asked)
    return claim_of(ask, plan_for(ask, job, catalog), catalog.spec)


def chat(**fields: Any) -> ChatJob:
    return ChatJob(messages=({"role": "user", "content": "x" * 400},), **fields)


@pytest.mark.parametrize(
    ("key", "asked", "queued"),
    [
        (Priority.NORMAL, None, Priority.NORMAL),
        (Priority.NORMAL, Priority.BACKGROUND, Priority.BACKGROUND),
        (Priority.NORMAL, Priority.HIGH, Priority.NORMAL),
        (Priority.HIGH, None, Priority.HIGH),
        (Priority.HIGH, Priority.BACKGROUND, Priority.BACKGROUND),
        (Priority.BACKGROUND, None, Priority.BACKGROUND),
        (Priority.BACKGROUND, Priority.NORMAL, Priority.BACKGROUND),
    ],
)
def test_the_class_is_the_keys_and_a_request_can_only_step_back(
    key: Priority, asked: Priority | None, queued: Priority
) -> None:
    assert claim(chat(), key, asked).priority is queued


def test_the_account_its_weight_and_the_work_are_claimed() -> None:
    assert claim(chat(max_tokens=50)) == Claim("account", Priority.NORMAL, 150, 3, 1)


def test_each_answer_that_is_made_at_once_takes_a_place() -> None:
    assert claim(chat(max_tokens=50, n=4)).places == 4
    assert claim(CompletionJob(prompts=("a", "b", "c"), max_tokens=5, n=2)).places == 6
    drafts = claim(chat(max_tokens=50, temperature=1.0), model="fake:ultra", quality=ULTRA)
    assert drafts.places == 5


def test_another_model_is_claimed_for_one_pass_of_unknown_size() -> None:
    catalog = One()
    ask = Ask(caller=Caller("key", "account", weight=3), model="fake")
    plan = plan_for(ask, chat(n=4), catalog)
    assert claim_of(ask, plan, FakeModel(name="other", engine="fake", serves=Task.SPEECH)) == Claim("account", weight=3)


async def test_a_full_share_of_the_queue_is_429_unless_the_account_could_not_pay_anyway(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bank_with(settings, 12) as bank:

        def full(spec: ModelSpec, claim: Claim) -> Any:
            raise RateLimited("Too many requests of this account are waiting.", code="queue_full")

        monkeypatch.setattr(bank.server.registry, "lease", full)
        refused = await bank.ask(max_tokens=5)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert (await bank.ask(max_tokens=50)).status_code == 402


async def test_a_batch_of_a_high_key_is_background(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(settings) as fake:
        claims: list[Claim] = []
        lease = fake.registry.lease

        def seen(spec: ModelSpec, claim: Claim) -> Any:
            claims.append(claim)
            return lease(spec, claim)

        monkeypatch.setattr(fake.registry, "lease", seen)
        fake.accounts.keys["sk-sage-high"] = Caller("high", "high", priority=Priority.HIGH, weight=2)  # type: ignore[attr-defined]
        async with fake.client("sk-sage-high") as client:
            body: dict[str, Any] = {"model": "everything", "messages": [{"role": "user", "content": "hello"}]}
            for more in ({}, {"priority": 0}, {"priority": 7}):
                assert (await client.post("/v1/chat/completions", json=body | more)).status_code == 200
            assert (await client.post("/v1/embeddings", json={"model": "everything", "input": "a"})).status_code == 200
        high, low = Priority.HIGH, Priority.BACKGROUND
        assert [(one.priority, one.weight) for one in claims] == [(high, 2), (high, 2), (low, 2), (high, 2)]
