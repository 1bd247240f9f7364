"""What questions cost: over the real ledger, the whole API and fake engines. Each run is paid once, and under its own
id; the limits count a question as one request, whatever it takes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.limits.limiter import RateLimiter
from server.accounts.reports.usage import By, Reports
from server.api.asksage.dialect import SEPARATOR
from server.core import Caller, Limits, Task
from server.knowledge.records import Dataset, Passage
from server.models.config.spec import Price
from server.pipeline.inner_calls import InnerCalls
from server.settings import Settings
from server.testing import Exchange, FakeServer
from tests.api.asksage.conftest import HANDBOOK, Shelf, passage, with_shelf

pytestmark = pytest.mark.anyio

PRICE = Price(
    prompt_token=Decimal("0.1"), completion_token=Decimal(1), character=Decimal("0.5"), audio_second=Decimal(2)
)
SOUND = ("talk.mp3", b"sound")
FORM = "multipart/form-data; boundary=b"


@dataclass
class Till:
    """A metered account, and a server that bills it; a search embeds its question."""

    fake: FakeServer
    shelf: Shelf
    http: httpx.AsyncClient
    ledger: Ledger
    reports: Reports
    account_id: str
    key: str

    async def ask(self, path: str = "/server/query", **body: Any) -> Any:
        return (await self.http.post(path, json={"message": "hello there", **body})).json()

    def asking(self, path: str = "/server/query", *, sound: bool = False, **body: Any) -> Exchange:
        """A question by hand, whose client hangs up when the block is left."""
        content, kind = json.dumps({"message": "hello there", **body}).encode(), "application/json"
        if sound:
            kind = FORM
            content = (
                b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nhello\r\n'
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="talk.mp3"\r\n\r\nsound\r\n--b--\r\n'
            )
        headers = {"x-access-tokens": self.key, "authorization": "", "content-type": kind}
        return self.fake.exchange("POST", path, body=content, headers=headers)

    async def paid(self) -> list[Decimal]:
        """The charges in their order."""
        return [-one.amount async for one in self.ledger.entries(self.account_id) if one.kind == "charge"]

    async def references(self) -> list[str]:
        """Of holds, in their order."""
        return [one.reference async for one in self.ledger.entries(self.account_id) if one.kind == "hold"]

    async def balance(self) -> Decimal:
        return (await self.ledger.balance(self.account_id)).balance

    async def used(self) -> dict[str, tuple[int, int, Decimal]]:
        """Tokens read and made, and credits, by task."""
        lines = await self.reports.usage([By.TASK])
        return {one.group[By.TASK]: (one.prompt_tokens, one.completion_tokens, one.cost) for one in lines}

    def counts(self, task: Task) -> tuple[int, int, int, int]:
        engine = self.fake.engines[task]
        return engine.started, engine.finished, engine.cut_short, engine.running


@asynccontextmanager
async def till_with(
    settings: Settings, granted: str, *, limits: Limits | None = None, **options: Any
) -> AsyncIterator[Till]:
    async with await Accounts.open(settings) as accounts:
        ledger = Ledger(accounts.database)
        await ledger.start()
        account = await accounts.create_account("payer")
        if Decimal(granted):
            await ledger.grant(account.id, Decimal(granted))
        key = (await accounts.create_key(account=account.id, limits=limits or Limits())).key
        limiter = RateLimiter()
        fake = FakeServer(
            settings, dict.fromkeys(Task, options), accounts=accounts, bank=ledger, limiter=limiter, price=PRICE
        )
        shelf = with_shelf(fake)
        inner = InnerCalls(fake.services.pipeline, fake.catalog, settings.models_dir)

        async def search(caller: Caller, query: str, datasets: Sequence[Dataset], limit: int) -> list[Passage]:
            await inner.embed(caller, "fake-embedding", [query], query=True)
            return shelf.passages[:limit]

        services = fake.app.state.services
        knowledge = SimpleNamespace(**{**vars(services.knowledge), "retrieval": SimpleNamespace(search=search)})
        fake.app.state.services = replace(services, knowledge=knowledge)
        transport = httpx.ASGITransport(fake.app)
        try:
            async with fake, httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                http.headers["x-access-tokens"] = key
                yield Till(fake, shelf, http, ledger, Reports(accounts.database), account.id, key)
            assert await ledger.discrepancies() == []
            assert (await ledger.balance(account.id)).held == 0
        finally:
            await limiter.aclose()
            await ledger.aclose()


async def test_a_question_pays_for_its_search_and_its_answer(settings: Settings) -> None:
    async with till_with(settings, "1000") as till:
        told = await till.ask(usage=True)
        assert told["usage"]["model_tokens"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        assert await till.paid() == [Decimal("0.2"), Decimal("5.5")]
        assert await till.balance() == Decimal("994.3")
        assert await till.used() == {"embedding": (2, 0, Decimal("0.2")), "chat": (5, 5, Decimal("5.5"))}
        assert [one["total_tokens"] for one in till.shelf.asked] == [10]


@pytest.mark.parametrize("path", ["/server/query", "/server/query_stream"])
async def test_a_question_with_recordings_pays_for_each_of_them_and_for_the_answer(
    settings: Settings, path: str
) -> None:
    async with till_with(settings, "1000", duration=2.5) as till:
        files = [("file", SOUND), ("file", SOUND)]
        answer = await till.http.post(path, data={"message": "What?", "dataset": "none"}, files=files)
        assert b"Hello from the fake engine." in answer.content
        heard, again, answered = await till.paid()
        assert heard == again == Decimal(5)
        assert answered > 5  # its tokens, five of them made
        assert len(set(await till.references())) == 3
        assert (await till.references())[-1] == answer.headers["x-request-id"]
        assert await till.balance() == Decimal(1000) - heard - again - answered


async def test_an_answer_whose_passages_gave_way_is_paid(settings: Settings) -> None:
    """4,000 of the context's 4,096 tokens leave too little room: half of them is asked again."""
    async with till_with(settings, "10000") as till:
        till.shelf.passages = [passage("w " * 1990), passage("w " * 1990)]
        told = await till.ask()
        assert len(told["citations"]) == 1
        _, answered = await till.paid()
        assert answered > 100
        assert len(await till.references()) == len(set(await till.references())) == 3


async def test_the_limits_count_a_question_once(settings: Settings) -> None:
    limits = Limits(requests_per_minute=2, tokens_per_minute=100_000, concurrent_requests=1)
    async with till_with(settings, "10000", limits=limits, duration=1) as till:
        till.shelf.passages = [passage("w " * 1990), passage("w " * 1990)]
        first = await till.http.post("/server/query", data={"message": "What?"}, files=[("file", SOUND)])
        assert first.json()["message"] == "Hello from the fake engine."
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        second = await till.http.post("/server/query_stream", json={"message": "Why?"})
        assert b"Hello from the fake engine." in second.content
        counted = sum(read + made for read, made, _ in (await till.used()).values())
        assert 100_000 - int(second.headers["x-ratelimit-remaining-tokens"]) < counted  # the first one's, all of them
        assert 100_000 - int(second.headers["x-ratelimit-remaining-tokens"]) > 2000
        third = await till.ask()
        assert (third["status"], third["error"]) == (429, "rate_limit_exceeded")
        assert till.fake.engines[Task.EMBEDDING].started == 2


@pytest.mark.parametrize(
    ("granted", "fields", "status"),
    [
        ("1000", {"model": "gpt-9"}, 200),
        ("0", {}, 402),
        ("0.15", {}, 402),
        ("1000", {"model": "everything:best"}, 400),
        ("1000", {"model": "fake-embedding"}, 200),
    ],
)
async def test_what_is_refused_anyway_is_refused_before_anything_is_paid(
    settings: Settings, granted: str, fields: dict[str, str], status: int
) -> None:
    async with till_with(settings, granted, duration=0.01) as till:
        sent = {"message": "What is it?", **fields}
        told = (await till.http.post("/server/query", data=sent, files=[("file", SOUND)])).json()
        assert told["status"] == status
        assert told.get("type") in ("teach", None)
        assert not any(engine.started for engine in till.fake.engines.values())
        assert await till.references() == []


async def test_a_failed_answer_is_free_and_its_search_is_not(settings: Settings) -> None:
    async with till_with(settings, "1000") as till:
        engine = till.fake.engines[Task.CHAT]
        engine.options = engine.options.__class__(die_after=3)
        assert (await till.ask())["status"] == 500
        assert await till.paid() == [Decimal("0.2")]
        assert till.shelf.asked == []


async def test_a_failed_search_is_free(settings: Settings) -> None:
    async with till_with(settings, "1000") as till:
        engine = till.fake.engines[Task.EMBEDDING]
        engine.options = engine.options.__class__(fail=True)
        told = await till.ask()
        assert (told["message"], told["embedding_down"]) == ("Hello from the fake engine.", True)
        assert await till.paid() == [Decimal("5.5")]


@pytest.mark.parametrize("path", ["/server/query", "/server/query_stream", "/server/follow-up-questions"])
async def test_who_hangs_up_while_datasets_are_searched_pays_nothing(settings: Settings, path: str) -> None:
    async with till_with(settings, "1000") as till:
        engine = till.fake.engines[Task.EMBEDDING]
        engine.gate.close()
        async with till.asking(path, limit_references=3) as exchange:
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert till.counts(Task.EMBEDDING) == (1, 0, 1, 0)
        assert till.counts(Task.CHAT)[0] == 0
        assert await till.paid() == []


@pytest.mark.parametrize("path", ["/server/query", "/server/query_stream", "/server/execute-plugin"])
async def test_who_hangs_up_on_an_answer_pays_for_what_was_made(settings: Settings, path: str) -> None:
    async with till_with(settings, "1000") as till:
        engine = till.fake.engines[Task.CHAT]
        engine.gate.close()
        more = {"plugin_name": "summarize", "plugin_values": ["x"], "dataset": "none"}
        async with till.asking(path, **more) as exchange:
            engine.gate.let(4)  # Facts and three tokens
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert till.counts(Task.CHAT) == (1, 0, 1, 0)
        (paid,) = await till.paid()
        assert 3 < paid < 5
        assert till.shelf.asked == []


async def test_who_hangs_up_on_a_recording_pays_for_what_was_heard(settings: Settings) -> None:
    async with till_with(settings, "1000", duration=2.5) as till:
        engine = till.fake.engines[Task.TRANSCRIPTION]
        engine.gate.close()
        async with till.asking(sound=True) as exchange:
            engine.gate.let(3)  # Facts and what follows
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert till.counts(Task.TRANSCRIPTION) == (1, 0, 1, 0)
        assert till.counts(Task.CHAT)[0] == 0
        searched, paid = await till.paid()
        assert searched == Decimal("0.1")
        assert paid > 0


async def test_a_mode_of_several_passes_pays_for_each(settings: Settings) -> None:
    async with till_with(settings, "100000") as till:
        answer = await till.http.post(
            "/server/query", json={"message": "Why?", "quality": "ultra", "dataset": "none", "usage": True}
        )
        told = answer.json()["usage"]["model_tokens"]
        assert int(answer.headers["x-quality-passes"]) >= 1
        (read, made, cost) = (await till.used())["chat"]
        assert (told["prompt_tokens"], told["completion_tokens"]) == (read, made)
        assert cost == sum(await till.paid()) == read * Decimal("0.1") + made


async def test_a_text_that_is_only_embedded(settings: Settings) -> None:
    async with till_with(settings, "10") as till:
        told = await till.ask("/server/train", content="Leave is thirty days")
        assert told["response"].endswith("(4 tokens).")
        assert await till.used() == {"embedding": (4, 0, Decimal("0.4"))}
        assert [(one["teach"], one["prompt_tokens"]) for one in till.shelf.asked] == [(1, 4)]


async def test_200_at_once_on_credit_for_20(settings: Settings, database_url: str) -> None:
    """An answer is 5.5 credits, with its search 5.7; one that is begun may be cut short by what is left."""
    async with till_with(settings.model_copy(update={"database_url": database_url}), "114") as till:
        answers = await asyncio.gather(*(till.ask(usage=True) for _ in range(200)))
        assert {answer["status"] for answer in answers} == {200, 402}
        served = [answer["usage"]["model_tokens"] for answer in answers if answer["status"] == 200]
        used = await till.used()
        assert 0 < len(served) <= 50
        assert used["chat"][:2] == (
            sum(one["prompt_tokens"] for one in served), sum(one["completion_tokens"] for one in served)
        )  # fmt: skip
        cost = sum(cost for _, _, cost in used.values())
        assert await till.balance() == Decimal(114) - cost >= 0
        assert cost == sum(await till.paid())
        assert used["embedding"][2] == Decimal("0.2") * (used["embedding"][0] // 2)
        assert len(set(await till.references())) == len(await till.references())


async def test_a_stream_is_paid_before_its_last_object(settings: Settings) -> None:
    async with till_with(settings, "1000") as till:
        engine = till.fake.engines[Task.CHAT]
        engine.gate.close()
        async with till.asking("/server/query_stream", dataset="none") as exchange:
            engine.gate.open()
            await exchange.start()
            last = b""
            while chunk := await exchange.chunk():
                last = chunk
                if json.loads(chunk.split(SEPARATOR)[-2])["type"] == "completion":
                    break
            assert json.loads(last.split(SEPARATOR)[-2])["type"] == "completion"
            assert await till.paid() == [Decimal("5.5")]
        assert HANDBOOK.name not in last.decode()
