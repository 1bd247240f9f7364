"""Calls of knowledge to models: whoever they are for is limited and pays, and a hang-up ends them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.accounts.administration import Administration
from server.accounts.limits.limiter import RateLimiter
from server.core import Caller, Claim, EmbeddingJob, Limits, Priority, ScoreJob, Task
from server.errors import InsufficientCredits, KnowledgeUnavailable, RateLimited
from server.knowledge.calls import LOCAL
from server.models.config.files import CatalogError
from server.models.config.spec import ModelSpec, Price
from server.pipeline.admission import Admission, Free
from server.pipeline.inner_calls import AT_ONCE, InnerCalls
from server.pipeline.run import Pipeline
from server.settings import Settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio


@dataclass
class Bank:
    """caller: of a metered account with 1000 credits; a token costs one, a second of sound too."""

    administration: Administration
    fake: FakeServer
    caller: Caller
    calls: InnerCalls

    def made(self, **settings: Any) -> InnerCalls:
        free = Pipeline(self.fake.catalog, Admission(Free(), RateLimiter()), self.fake.registry)
        return InnerCalls(self.fake.services.pipeline, self.fake.catalog, Path("none"), free=free, **settings)

    async def kinds(self) -> list[tuple[str, Decimal]]:
        entries = self.administration.ledger.entries(self.caller.account_id)
        return [(one.kind, one.amount) async for one in entries if one.kind != "grant"]

    async def spent(self) -> Decimal:
        return -sum([amount for kind, amount in await self.kinds() if kind == "charge"], Decimal(0))

    async def held(self) -> Decimal:
        return (await self.administration.ledger.balance(self.caller.account_id)).held


@pytest.fixture
async def bank(settings: Settings) -> AsyncIterator[Bank]:
    async with Administration.open(settings) as administration:
        await administration.create_account("ada", credits=Decimal(1000))
        key = (await administration.accounts.create_key(account="ada")).key
        caller = await administration.accounts.authenticate(key)
        assert caller is not None
        price = Price(prompt_token=Decimal(1), audio_second=Decimal(1))
        async with FakeServer(settings, bank=administration.ledger, price=price, limiter=RateLimiter()) as fake:
            made = Bank(administration, fake, caller, None)  # type: ignore[arg-type]
            made.calls = made.made()
            yield made
        assert await administration.ledger.discrepancies() == []


async def test_vectors_are_of_length_one_and_paid_by_the_token(bank: Bank) -> None:
    vectors = await bank.calls.embed(bank.caller, "fake-embedding", ["one two", "three"])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
    assert await bank.spent() == 3
    assert [kind for kind, _ in await bank.kinds()].count("charge") == 1
    assert (await bank.calls.embed(bank.caller, "fake-embedding", [])).shape == (0, 0)


async def test_many_texts_are_several_requests_in_the_order_given(bank: Bank) -> None:
    texts = [f"text{number}" for number in range(2 * AT_ONCE + 1)]
    vectors = await bank.calls.embed(bank.caller, "fake-embedding", texts)
    jobs = bank.fake.engines[Task.EMBEDDING].jobs
    assert [len(job.inputs) for job in jobs if isinstance(job, EmbeddingJob)] == [AT_ONCE, AT_ONCE, 1]
    last = await bank.calls.embed(bank.caller, "fake-embedding", texts[-1:])
    assert vectors[-1] == pytest.approx(last[0])
    assert await bank.spent() == len(texts) + 1
    references = [one.reference async for one in bank.administration.ledger.entries(bank.caller.account_id)]
    assert len(set(references)) >= 4, "each request has an id of its own"


async def test_who_calls_from_this_machine_pays_nothing(bank: Bank) -> None:
    local = Caller(key_id=LOCAL, account_id=bank.caller.account_id)
    await bank.calls.embed(local, "fake-embedding", ["one"])
    assert await bank.kinds() == []


async def test_without_credits_nothing_is_embedded(bank: Bank) -> None:
    with pytest.raises(InsufficientCredits):
        await bank.calls.embed(bank.caller, "fake-embedding", ["word " * 1001])
    assert bank.fake.engines[Task.EMBEDDING].finished == 0
    assert (await bank.spent(), await bank.held()) == (0, 0)


async def test_a_keys_limits_hold(bank: Bank) -> None:
    slow = replace(bank.caller, limits=Limits(requests_per_minute=1))
    await bank.calls.embed(slow, "fake-embedding", ["one"])
    with pytest.raises(RateLimited) as refused:
        await bank.calls.embed(slow, "fake-embedding", ["one"])
    assert float(refused.value.headers["Retry-After"]) > 0


async def test_a_key_for_other_models_has_its_texts_embedded_all_the_same(bank: Bank) -> None:
    narrow = replace(bank.caller, models=frozenset({"fake-chat"}))
    assert len(await bank.calls.embed(narrow, "fake-embedding", ["one"])) == 1


async def test_what_goes_on_in_the_background_gives_way(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    claims: list[Claim] = []
    lease = bank.fake.registry.lease

    def leasing(spec: ModelSpec, claim: Claim) -> Any:
        claims.append(claim)
        return lease(spec, claim)

    monkeypatch.setattr(bank.fake.registry, "lease", leasing)
    await bank.calls.embed(bank.caller, "fake-embedding", ["one"], background=True)
    await bank.calls.embed(bank.caller, "fake-embedding", ["one"])
    assert [one.priority for one in claims] == [Priority.BACKGROUND, Priority.NORMAL]
    assert {one.account_id for one in claims} == {bank.caller.account_id}


async def test_a_hang_up_ends_the_call_and_nothing_stays_held(bank: Bank) -> None:
    engine = bank.fake.engines[Task.EMBEDDING]
    engine.gate.close()
    call = asyncio.create_task(bank.calls.embed(bank.caller, "fake-embedding", ["one"]))
    await engine.gate.until_waiting()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await engine.until_idle()
    assert (engine.cut_short, bank.fake.registry.leases) == (1, 0)
    assert (await bank.spent(), await bank.held()) == (0, 0)


async def test_reranking(bank: Bank) -> None:
    assert bank.calls.reranking is None
    with pytest.raises(KnowledgeUnavailable):
        await bank.calls.rerank(bank.caller, "bread", ["bread"])
    calls = bank.made(reranking="fake-score")
    assert calls.reranking == "fake-score"
    assert list(await calls.rerank(bank.caller, "bread", [])) == []
    none, whole = await calls.rerank(bank.caller, "rye bread", ["iron", "rye bread"])
    assert none < whole
    [job] = bank.fake.engines[Task.SCORE].jobs
    assert isinstance(job, ScoreJob)
    assert (job.queries, job.documents) == (("rye bread",), ("iron", "rye bread"))
    assert await bank.spent() > 0


async def test_recordings(bank: Bank) -> None:
    assert bank.calls.transcribes
    heard = await bank.calls.transcribe(bank.caller, b"one two three", "talk.mp3")
    assert all(start <= end for start, end, _ in heard)
    assert " ".join(text for _, _, text in heard).strip()
    assert await bank.spent() > 0


async def test_which_models_there_are(bank: Bank) -> None:
    assert bank.calls.embedding == "fake-embedding"
    assert bank.made(embedding="everything").embedding == "fake-embedding", "by a public name too"
    assert bank.calls.installed("fake-embedding")
    assert not bank.calls.installed("everything"), "that is no model's own name"
    for setting, task in (("embedding", "EMBEDDING"), ("reranking", "RERANK")):
        with pytest.raises(CatalogError, match=rf"SAGEHOLD_{task}_MODEL: no model 'nothing' that does"):
            bank.made(**{setting: "nothing"})
    with pytest.raises(CatalogError, match="these are: everything, fake-embedding"):
        bank.made(embedding="fake-chat")
    for call in (bank.calls.embed(bank.caller, "gone", ["one"]), bank.calls.measure("gone")):
        with pytest.raises(KnowledgeUnavailable, match="gone"):
            await call


async def test_the_measure_of_a_fake_counts_words(bank: Bank) -> None:
    measure = await bank.calls.measure("fake-embedding")
    assert (measure.most, measure.tokens("one two  three")) == (256, 3)
