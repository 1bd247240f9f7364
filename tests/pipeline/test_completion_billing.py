"""What raw prompts cost, over the real ledger; counting tokens costs nothing."""

from decimal import Decimal
from typing import Any

import pytest

from server.core import CompletionJob, Facts, Limits, Task
from server.settings import Settings
from tests.pipeline.test_billing import bank_with

pytestmark = pytest.mark.anyio

# A prompt token costs 0.1, a completion token 1.


async def test_every_prompt_is_paid_once_and_every_choice_drawn(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        body = {"model": "everything", "prompt": ["one two", "three"], "n": 1, "best_of": 3, "max_tokens": 2}
        answer = await bank.client.post("/v1/completions", json=body)
        usage = answer.json()["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3, 12)
        assert usage["credits"] == 12.3
        assert (await bank.balance()).balance == Decimal("87.7")


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"prompt": "a b", "max_tokens": 4}, "4.2"),
        ({"prompt": "a b"}, "16.2"),
        ({"prompt": ["a b", "c"], "n": 2, "max_tokens": 4}, "16.3"),
        ({"prompt": ["a b", "c"], "n": 2, "best_of": 3, "max_tokens": 4}, "24.3"),
    ],
)
async def test_what_it_may_cost_must_be_there(settings: Settings, body: dict[str, Any], most: str) -> None:
    """All of it: the limit is the client's, or the endpoint's own."""
    whole = int(Decimal(most))
    async with bank_with(settings, whole) as bank:
        answer = await bank.client.post("/v1/completions", json={"model": "everything", **body})
        assert answer.status_code == 402
        assert answer.json()["error"]["message"] == f"This request may cost {most} credits, but {whole} are left."
        assert bank.server.engines[Task.COMPLETION].finished == 0
        await bank.ledger.grant(bank.account_id, Decimal("0.5"))
        assert (await bank.client.post("/v1/completions", json={"model": "everything", **body})).status_code == 200


async def test_counting_tokens_is_free(settings: Settings) -> None:
    async with bank_with(settings, 0) as bank:
        answer = await bank.client.post("/tokenize", json={"model": "everything", "prompt": "abc"})
        assert answer.json()["count"] == 3
        assert (await bank.balance()).balance == 0
        assert {amount for _, amount in await bank.lines()} == {0}


async def test_counting_tokens_is_counted_by_the_limits(settings: Settings) -> None:
    async with bank_with(settings, 0, limits=Limits(requests_per_minute=2)) as bank:
        tokens = {"model": "everything", "tokens": [97]}
        statuses = [(await bank.client.post("/detokenize", json=tokens)).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


def test_a_prompt_is_sized_before_it_is_read() -> None:
    from server.core import Ask, Caller
    from server.models.config.spec import FakeModel, Price
    from server.pipeline.modes import plan_for
    from server.pipeline.pricing import bound
    from server.pipeline.tasks import TASKS

    spec = FakeModel(name="fake", engine="fake", serves=(Task.COMPLETION,))

    class One:
        def resolve(self, name: str, task: Task) -> tuple[FakeModel, Price]:
            return spec, Price(prompt_token=Decimal(1), completion_token=Decimal(10))

    job = CompletionJob(prompts=("x" * 40, (1, 2, 3)), max_tokens=5, n=2)
    plan = plan_for(Ask(caller=Caller("k", "a"), model="fake"), job, One())
    rules = TASKS[Task.COMPLETION]
    assert rules.size(plan) == 10 + 3 + 4 * 5
    assert bound(plan, Facts(prompt_tokens=13, room=5)).most == 13 + 4 * 5 * 10
    assert rules.least(plan) == 1 + 10
