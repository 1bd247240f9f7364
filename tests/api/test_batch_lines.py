"""A line of a batch: answered as any request is, paid at the price of batches, and once."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from server.accounts.reports.usage import By
from server.api.batch_lines import BatchLines
from server.core import Caller, Limits, Priority, Task
from server.errors import DatabaseUnavailable, Overloaded
from server.jobs.batches.executor import LineResult, Order, PayerGone
from server.pipeline.admission import Charge
from server.settings import Settings
from server.testing import CALLER, FakeServer
from tests.pipeline.test_billing import ASK, Bank, bank_with

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
D = Decimal


class Payer:
    """Whoever is asked for, as long as they are there."""

    def __init__(self, caller: Caller | None = CALLER) -> None:
        self.now = caller

    async def caller(self, key_id: str) -> Caller | None:
        assert self.now is None or key_id == self.now.key_id
        return self.now


def order(changes: Any = None, *, body: Any = None, **fields: Any) -> Order:
    """changes: to the chat that is asked for otherwise than by `body`."""
    said: dict[str, Any] = {
        "account_id": CALLER.account_id,
        "key_id": CALLER.key_id,
        "endpoint": CHAT,
        "reference": "batch_1f-1",
    }
    return Order(body=json.dumps(body or {**ASK, **(changes or {})}).encode(), **(said | fields))


def lines_on(bank: Bank, factor: str = "0.5") -> BatchLines:
    return BatchLines(bank.server.app, bank.server.accounts, bank.ledger, price_factor=D(factor))  # type: ignore[arg-type]


async def order_of(bank: Bank, body: Any = None, **fields: Any) -> Order:
    caller = await bank.server.accounts.authenticate(bank.key)
    assert caller is not None
    return order(body, **{"account_id": caller.account_id, "key_id": caller.key_id, **fields})


def read(result: LineResult) -> Any:
    return json.loads(result.body)


# ---------------------------------------------------------------- as any request


async def test_a_line_is_answered_as_the_request_would_be(settings: Settings) -> None:
    async with FakeServer(settings) as fake, fake.client() as client:
        result = await BatchLines(fake.app, Payer(), None).run(order({"max_tokens": 8}))
        theirs = (await client.post(CHAT, json={**ASK, "max_tokens": 8})).json()
        ours = read(result)
        assert result.status_code == 200
        assert result.request_id == "batch_1f-1"
        assert {**ours, "id": "", "created": 0} == {**theirs, "id": "", "created": 0}


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/completions", {"model": "everything", "prompt": "hello"}),
        ("/v1/embeddings", {"model": "everything", "input": ["one", "two"]}),
        ("/v1/images/generations", {"model": "everything", "prompt": "a heart"}),
    ],
)
async def test_every_endpoint_of_batches_is_answered(settings: Settings, endpoint: str, body: Any) -> None:
    async with FakeServer(settings) as fake:
        result = await BatchLines(fake.app, Payer(), None).run(order(body=body, endpoint=endpoint))
        assert result.status_code == 200, result.body


async def test_pictures_lie_in_the_answer_since_their_urls_end_within_the_hour(settings: Settings) -> None:
    body = {"model": "everything", "prompt": "a heart"}
    async with FakeServer(settings) as fake, fake.client() as client:
        lines = BatchLines(fake.app, Payer(), None)
        assert "url" in (await client.post("/v1/images/generations", json=body)).json()["data"][0]
        (made,) = read(await lines.run(order(body=body, endpoint="/v1/images/generations")))["data"]
        assert ("b64_json" in made, "url" in made) == (True, False)
        asked = order(body={**body, "response_format": "url"}, endpoint="/v1/images/generations")
        (made,) = read(await lines.run(asked))["data"]
        assert made["url"].startswith("/v1/images/")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "none"}, 404, "model_not_found"),
        ({"n": 0}, 400, "invalid_value"),
        ({"messages": [{"role": "user", "content": "x " * 5000}]}, 400, "context_length_exceeded"),
    ],
)
async def test_a_refusal_has_the_envelope_of_the_api(settings: Settings, body: Any, status: int, code: str) -> None:
    async with FakeServer(settings) as fake:
        result = await BatchLines(fake.app, Payer(), None).run(order(body))
        assert (result.status_code, read(result)["error"]["code"]) == (status, code)


async def test_the_keys_models_and_scopes_hold(settings: Settings) -> None:
    async with FakeServer(settings) as fake:
        elsewhere = BatchLines(fake.app, Payer(replace(CALLER, models=frozenset({"fake-chat"}))), None)
        assert (await elsewhere.run(order())).status_code == 404
        assert (await elsewhere.run(order({"model": "fake-chat"}))).status_code == 200
        reader = BatchLines(fake.app, Payer(replace(CALLER, scopes=frozenset({"usage"}))), None)
        assert (await reader.run(order())).status_code == 403


async def test_no_rate_limit_holds_and_the_batch_gives_way_to_all_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = Limits(requests_per_minute=1, tokens_per_minute=1, concurrent_requests=1)
    caller = replace(CALLER, limits=tight, account_limits=tight, priority=Priority.HIGH, weight=7)
    async with FakeServer(settings) as fake:
        fake.accounts.keys["sk-tight"] = caller  # type: ignore[union-attr]
        claims = []
        lease = fake.registry.lease
        monkeypatch.setattr(fake.registry, "lease", lambda spec, claim: (claims.append(claim), lease(spec, claim))[1])
        lines = BatchLines(fake.app, Payer(caller), None)
        results = await asyncio.gather(*(lines.run(order(reference=f"batch_1f-{n}")) for n in range(20)))
        assert {result.status_code for result in results} == {200}
        assert {(claim.priority, claim.weight, claim.account_id) for claim in claims} == {
            (Priority.BACKGROUND, 7, CALLER.account_id)
        }
        results = await asyncio.gather(*(lines.run(order({"priority": -5})) for _ in range(2)))
        assert {claim.priority for claim in claims} == {Priority.BACKGROUND}, "whatever the line says"
        async with fake.client("sk-tight") as client:  # and the batch has used none of it
            assert [(await client.post(CHAT, json=ASK)).status_code for _ in range(2)] == [200, 429]


async def test_the_log_and_the_metrics_know_it_as_the_servers_own(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    async with FakeServer(settings) as fake:
        await BatchLines(fake.app, Payer(), None).run(order())
        [facts] = [vars(record)["request"] for record in caplog.records if record.name == "sagehold.access"]
        assert facts["inner"] is True
        assert (facts["path"], facts["status"], facts["key"]) == (CHAT, 200, CALLER.key_id)
        assert "client" not in facts
        counted = {labels["route"]: value for name, labels, value in fake.services.metrics.samples()
                   if name == "sagehold_requests_total"}  # fmt: skip
        assert counted == {CHAT: 1}


async def test_a_large_line_waits_for_no_room(settings: Settings) -> None:
    """The batch sees to how many of them there are; what clients send at once is another matter."""
    async with FakeServer(settings, {Task.CHAT: {"context": 10**6}}) as fake:
        room = fake.services.bodies
        big = {"messages": [{"role": "user", "content": "x" * 200_000}]}
        async with room.holding(CALLER.account_id, 10**12), room.holding("other", 10**12):
            result = await BatchLines(fake.app, Payer(), None).run(order(big))
        assert result.status_code == 200
        assert room.taken == 0


async def test_a_line_that_is_too_large_is_refused_by_its_own_size(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"max_body": 1000})) as fake:
        result = await BatchLines(fake.app, Payer(), None).run(order({"user": "x" * 1000}))
        assert result.status_code == 413


async def test_a_busy_model_says_when_to_come_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(settings) as fake:

        def full(*_: object) -> Any:
            raise Overloaded(headers={"Retry-After": "2", "retry-after-ms": "1500"})

        monkeypatch.setattr(fake.registry, "lease", full)
        result = await BatchLines(fake.app, Payer(), None).run(order())
        assert (result.status_code, result.retry_after) == (503, 1.5)


async def test_at_the_servers_end_a_line_is_refused(settings: Settings) -> None:
    async with FakeServer(settings) as fake:
        fake.services.shutdown.begin()
        result = await BatchLines(fake.app, Payer(), None).run(order())
        assert (result.status_code, read(result)["error"]["code"]) == (503, "server_shutting_down")


async def test_a_line_that_waits_for_a_model_is_refused_when_the_server_ends(settings: Settings) -> None:
    async with FakeServer(settings) as fake:
        fake.registry.loaded.clear()
        task = asyncio.create_task(BatchLines(fake.app, Payer(), None).run(order()))
        while not fake.registry.waiting:
            await asyncio.sleep(0)
        fake.services.shutdown.begin()
        assert (await task).status_code == 503


@pytest.mark.parametrize("caller", [None, replace(CALLER, account_id="acct_other")])
async def test_whose_key_is_gone_gets_nothing_more(settings: Settings, caller: Caller | None) -> None:
    async with FakeServer(settings) as fake:
        with pytest.raises(PayerGone, match="revoked or has expired"):
            await BatchLines(fake.app, Payer(caller), None).run(order())
        with pytest.raises(PayerGone, match="without a key"):
            await BatchLines(fake.app, Payer(), None).run(order(key_id=None))
        assert fake.engines[Task.CHAT].started == 0


async def test_without_keys_nobody_is_asked(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"auth": "off"})) as fake:
        result = await BatchLines(fake.app, None, None).run(order(key_id=None, account_id="none"))
        assert result.status_code == 200
        assert "credits" not in read(result)["usage"]


async def test_accounts_that_do_not_answer_are_no_answer_to_the_line(settings: Settings) -> None:
    class Down(Payer):
        async def caller(self, key_id: str) -> Caller | None:
            raise DatabaseUnavailable

    async with FakeServer(settings) as fake:
        result = await BatchLines(fake.app, Down(), None).run(order())
        assert result.status_code == 503


async def test_a_bug_is_one_lines_error(settings: Settings) -> None:
    async with FakeServer(settings, {Task.CHAT: {"bug_after": 1}}) as fake:
        result = await BatchLines(fake.app, Payer(), None).run(order())
        assert result.status_code == 500
        assert "/with/a/path" not in result.body.decode()


# ---------------------------------------------------------------- what it costs


async def test_a_line_costs_half_and_says_so(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        result = await lines_on(bank).run(await order_of(bank, {"max_tokens": 50}))
        assert read(result)["usage"]["credits"] == 2.6
        assert (await bank.balance()).balance == D("97.4")
        assert await bank.lines() == [
            ("grant", D(100)),
            ("hold", D("-25.1")),
            ("release", D("25.1")),
            ("charge", D("-2.6")),
        ]
        entries = [entry async for entry in bank.ledger.entries(bank.account_id)]
        assert {entry.reference for entry in entries[1:]} == {"batch_1f-1"}
        (line,) = await bank.reports.usage([By.MODEL])
        assert (line.prompt_tokens, line.completion_tokens, line.cost) == (2, 5, D("2.6"))


async def test_who_has_half_has_enough(settings: Settings) -> None:
    async with bank_with(settings, 3) as bank:
        lines = lines_on(bank)
        result = await lines.run(await order_of(bank, {"max_tokens": 5}))
        assert result.status_code == 200, "at the full price it may cost 5.2"
        refused = await lines.run(await order_of(bank, {"max_tokens": 5}, reference="batch_1f-2"))
        assert refused.status_code == 402
        error = read(refused)["error"]
        assert error["code"] == "insufficient_credits"
        assert error["message"] == "This request may cost 0.5 credits, but 0.4 are left."


async def test_a_batch_may_be_free(settings: Settings) -> None:
    async with bank_with(settings, 0) as bank:
        big = {"messages": [{"role": "user", "content": "x" * 200_000}]}
        result = await lines_on(bank, "0").run(await order_of(bank, big))
        assert (result.status_code, read(result)["usage"]["credits"]) == (200, 0)


async def test_what_was_paid_is_not_paid_again(settings: Settings) -> None:
    """As after a kill between the payment and the answer: the books have it, the journal does not."""
    async with bank_with(settings, 100) as bank:
        lines = lines_on(bank)
        await lines.run(await order_of(bank))
        before = await bank.lines()
        assert await lines.settled("batch_1f") == {1}
        again = await lines_on(bank).run(await order_of(bank, reference="batch_1f-1.2.1", paid=True))
        assert read(again)["usage"]["credits"] == 2.6, "what it has cost"
        assert await bank.lines() == before
        assert sum(line.requests for line in await bank.reports.usage([By.MODEL])) == 1


async def test_what_was_paid_needs_no_credits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bank_with(settings, 3) as bank:
        lines = lines_on(bank)
        await lines.run(await order_of(bank, {"max_tokens": 5}))
        result = await lines.run(await order_of(bank, {"max_tokens": 5}, reference="batch_1f-1.1.2", paid=True))
        assert result.status_code == 200

        def full(*_: object) -> Any:
            raise Overloaded

        monkeypatch.setattr(bank.server.registry, "lease", full)
        result = await lines.run(await order_of(bank, {"max_tokens": 5}, reference="batch_1f-1.1.3", paid=True))
        assert result.status_code == 503, "not 402, which would pause the batch"


@pytest.mark.parametrize("events", [0, 1, 3])
async def test_a_line_that_is_ended_costs_nothing(settings: Settings, events: int) -> None:
    async with bank_with(settings, 100) as bank:
        engine, lines = bank.server.engines[Task.CHAT], lines_on(bank)
        engine.gate.close()
        task = asyncio.create_task(lines.run(await order_of(bank)))
        engine.gate.let(events)
        await engine.gate.until_waiting()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (engine.running, engine.cut_short) == (0, 1)
        assert (await bank.balance()).balance == 100
        assert await lines.settled("batch_1f") == frozenset()
        engine.gate.open()
        assert (await lines.run(await order_of(bank, reference="batch_1f-1.1.2"))).status_code == 200
        assert (await bank.balance()).balance == D("97.4")


class SlowSettling:
    """Lets the ledger settle, and then waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
        self.settled = asyncio.Event()
        settle = Charge.settle

        async def slowly(charge: Charge, work: Any) -> None:
            await settle(charge, work)
            self.settled.set()
            if self.once:
                self.once = False
                await then()

        self.once = True
        monkeypatch.setattr(Charge, "settle", slowly)


async def test_a_line_that_is_ended_just_after_it_was_paid_is_not_paid_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bank_with(settings, 100) as bank:
        lines = lines_on(bank)
        slow = SlowSettling(monkeypatch, asyncio.Event().wait)
        task = asyncio.create_task(lines.run(await order_of(bank)))
        await slow.settled.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (await bank.balance()).balance == D("97.4")
        again = await lines.run(await order_of(bank, reference="batch_1f-1.1.2"))
        assert read(again)["usage"]["credits"] == 2.6
        assert (await bank.balance()).balance == D("97.4")


async def test_a_line_that_fails_after_it_was_paid_is_not_paid_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise RuntimeError("the answer could not be written out")

    async with bank_with(settings, 100) as bank:
        lines = lines_on(bank)
        SlowSettling(monkeypatch, fail)
        assert (await lines.run(await order_of(bank))).status_code == 500
        assert (await bank.balance()).balance == D("97.4")
        assert (await lines.run(await order_of(bank, reference="batch_1f-1.1.2"))).status_code == 200
        assert (await bank.balance()).balance == D("97.4")
