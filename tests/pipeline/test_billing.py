"""Requests that cost: over the real ledger, the whole API and fake engines."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.ledger.terms import Balance, Hold, Line, Settlement, Use
from server.accounts.limits.limiter import RateLimiter
from server.accounts.reports.usage import By, Reports
from server.core import Claim, Event, Facts, Finish, Limits, Picture, Read, Segment, Task, TextDelta, Usage
from server.errors import Overloaded, Unavailable
from server.models.config.spec import ModelSpec, Price
from server.pipeline.admission import Free
from server.settings import Settings
from server.storage.database import Database
from server.testing import Exchange, FakeServer

pytestmark = pytest.mark.anyio

PRICE = Price(
    prompt_token=Decimal("0.1"),
    completion_token=Decimal(1),
    character=Decimal("0.5"),
    audio_second=Decimal(2),
    image=Decimal(3),
)
ASK = {"model": "everything", "messages": [{"role": "user", "content": "hello there"}]}  # 2 tokens, answered by 5


class Postings:
    """A database for the ledger. `before` is awaited before each of its postings: it may wait, or raise."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.before: Callable[[], Awaitable[None]] | None = None

    async def run(self, work: Callable[[Any], Any]) -> Any:
        if self.before is not None:
            await self.before()
        return await self._database.run(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@dataclass
class Bank:
    """A metered account with a key, its ledger, and a server that bills it."""

    server: FakeServer
    client: httpx.AsyncClient
    postings: Postings
    ledger: Ledger
    reports: Reports
    account_id: str
    key: str

    async def balance(self) -> Balance:
        return await self.ledger.balance(self.account_id)

    async def lines(self) -> list[tuple[str, Decimal]]:
        return [(entry.kind, entry.amount) async for entry in self.ledger.entries(self.account_id)]

    def asking(self, **body: Any) -> Exchange:
        """A chat by hand, whose client hangs up when the block is left."""
        content = json.dumps({**ASK, **body}).encode()
        headers = {"authorization": f"Bearer {self.key}"}
        return self.server.exchange("POST", "/v1/chat/completions", body=content, headers=headers)

    async def ask(self, **body: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json={**ASK, **body})


@asynccontextmanager
async def bank_with(
    settings: Settings,
    granted: int,
    *,
    limits: Limits | None = None,
    metered: bool = True,
    quality: dict[Task, dict[str, Any]] | None = None,
    **options: Any,
) -> AsyncIterator[Bank]:
    async with await Accounts.open(settings) as accounts:
        postings = Postings(accounts.database)
        ledger = Ledger(postings)  # type: ignore[arg-type]
        await ledger.start()
        account = await accounts.create_account("payer", metered=metered)
        if granted:
            await ledger.grant(account.id, Decimal(granted))
        key = (await accounts.create_key(account=account.id, limits=limits or Limits())).key
        limiter = RateLimiter()
        server = FakeServer(
            settings,
            dict.fromkeys(Task, options),
            accounts=accounts,
            bank=ledger,
            limiter=limiter,
            price=PRICE,
            quality=quality or {},
        )
        try:
            async with server, server.client(key) as client:
                yield Bank(server, client, postings, ledger, Reports(accounts.database), account.id, key)
            assert await ledger.discrepancies() == []
            assert (await ledger.balance(account.id)).held == 0
        finally:
            await limiter.aclose()
            await ledger.aclose()


async def test_a_chat_pays_for_its_tokens_and_says_so(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        answer = await bank.ask(max_tokens=50)
        assert answer.json()["usage"]["credits"] == 5.2
        assert (await bank.balance()).balance == Decimal("94.8")
        assert await bank.lines() == [
            ("grant", Decimal(100)),
            ("hold", Decimal("-50.2")),
            ("release", Decimal("50.2")),
            ("charge", Decimal("-5.2")),
        ]
        (line,) = await bank.reports.usage([By.MODEL])
        assert (line.group[By.MODEL], line.prompt_tokens, line.completion_tokens) == ("everything", 2, 5)
        assert line.cost == Decimal("5.2")


async def test_a_stream_pays_before_its_last_chunk(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        answer = await bank.ask(stream=True, stream_options={"include_usage": True})
        last = json.loads(answer.text.strip().split("\n\n")[-2][6:])
        assert last["usage"]["credits"] == 5.2


async def test_too_little_is_402_and_not_worth_a_retry(settings: Settings) -> None:
    async with bank_with(settings, 10) as bank:
        answer = await bank.ask(max_tokens=50)
        assert answer.status_code == 402
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_credits")
        assert "50.2" in error["message"]
        assert "10" in error["message"]
        assert answer.headers["x-should-retry"] == "false"
        engine = bank.server.engines[Task.CHAT]
        assert (engine.started, engine.finished, engine.running) == (1, 0, 0)
        assert await bank.lines() == [("grant", Decimal(10))]


async def test_without_a_limit_the_answer_is_as_long_as_the_balance_affords(settings: Settings) -> None:
    async with bank_with(settings, 3) as bank:
        body = (await bank.ask()).json()
        assert body["choices"][0]["message"]["content"] == "Hello from"
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["credits"] == 2.2
        assert (await bank.balance()).balance == Decimal("0.8")
        assert (await bank.ask()).status_code == 402


@pytest.mark.parametrize(("granted", "held"), [(5000, "4094.2"), (1000, "500"), (300, "256.2"), (200, "200")])
async def test_an_answer_without_a_limit_leaves_something_for_the_next(
    settings: Settings, granted: int, held: str
) -> None:
    """The room of the context, 4,094 tokens, may cost more than there is; programs send several requests at once."""
    async with bank_with(settings, granted) as bank:
        assert (await bank.ask()).json()["usage"]["credits"] == 5.2
        assert [-amount for kind, amount in await bank.lines() if kind == "hold"] == [Decimal(held)]


async def test_who_hangs_up_pays_for_what_was_generated(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(stream=True, max_tokens=50) as exchange:
            engine.gate.let(4)  # Facts and three tokens
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert engine.cut_short == 1
        assert (await bank.balance()).balance == Decimal("96.8")


async def test_a_failure_is_free(settings: Settings) -> None:
    async with bank_with(settings, 100, die_after=3) as bank:
        assert (await bank.ask(max_tokens=50)).status_code == 500
        assert (await bank.balance()).balance == Decimal(100)
        assert [kind for kind, _ in await bank.lines()] == ["grant", "hold", "release"]


async def test_a_refusal_by_the_engine_is_free(settings: Settings) -> None:
    async with bank_with(settings, 100, refuse="no") as bank:
        assert (await bank.ask()).status_code == 400
        assert await bank.lines() == [("grant", Decimal(100))]


async def test_speech_images_and_transcription_have_their_own_prices(settings: Settings) -> None:
    async with bank_with(settings, 100, duration=2.5) as bank:
        await bank.client.post("/v1/audio/speech", json={"model": "everything", "input": "One two."})
        assert (await bank.balance()).balance == Decimal(96)
        drawn = await bank.client.post("/v1/images/generations", json={"model": "everything", "prompt": "a b", "n": 2})
        assert drawn.json()["usage"]["credits"] == 6
        heard = await bank.client.post(
            "/v1/audio/transcriptions", data={"model": "everything"}, files={"file": ("a.wav", b"x")}
        )
        assert heard.json()["usage"]["credits"] == 5
        assert (await bank.balance()).balance == Decimal(85)


async def test_the_last_picture_of_a_stream_tells_what_all_of_them_cost(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        body = {"model": "everything", "prompt": "a b", "n": 3, "stream": True, "partial_images": 1}
        streamed = await bank.client.post("/v1/images/generations", json=body)
        events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
        usages = [event["usage"] for event in events if event["type"] == "image_generation.completed"]
        assert [usage.get("credits") for usage in usages] == [None, None, 9]
        assert (await bank.balance()).balance == Decimal(91)


async def test_500_at_once_on_credit_for_20(settings: Settings) -> None:
    async with bank_with(settings, 104) as bank:  # 20 answers of 5.2 credits
        answers = await asyncio.gather(*(bank.ask(max_tokens=5) for _ in range(500)))
        served = sum(answer.status_code == 200 for answer in answers)
        assert served <= 20
        assert {answer.status_code for answer in answers} == {200, 402}
        assert (await bank.balance()).balance == Decimal(104) - served * Decimal("5.2")


async def test_a_crowd_that_can_not_pay_is_402_even_where_there_is_no_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bank_with(settings, 12) as bank:
        registry, lease, room = bank.server.registry, bank.server.registry.lease, 2

        def crowded(spec: ModelSpec, claim: Claim) -> Any:
            if registry.leases >= room:
                raise Overloaded
            return lease(spec, claim)

        monkeypatch.setattr(registry, "lease", crowded)
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()  # before Facts: the two that have room have no hold yet
        asked = [asyncio.create_task(bank.ask(max_tokens=5)) for _ in range(2)]
        await engine.gate.until_waiting(2)
        refused = await bank.ask(max_tokens=5)
        assert refused.status_code == 402
        assert refused.json()["error"]["message"] == "This request may cost 5 credits, but 2 are left."
        assert (await bank.ask(max_tokens=2)).status_code == 503  # it could pay: the room is what it lacks
        engine.gate.open()
        assert [(await one).status_code for one in asked] == [200, 200]
        room = 0
        assert (await bank.ask(max_tokens=1)).status_code == 503
        assert (await bank.ask(max_tokens=2)).status_code == 402
        monkeypatch.undo()
        assert (await bank.ask(max_tokens=1)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello there"}]}),
        ("/v1/completions", {"prompt": "hello there"}),
        ("/v1/audio/speech", {"input": "One two."}),
        ("/v1/images/generations", {"prompt": "a heart"}),
        ("/v1/embeddings", {"input": "One two."}),
        ("/v1/rerank", {"query": "One?", "documents": ["Two."]}),
    ],
)
async def test_who_can_not_pay_at_all_makes_nothing_be_loaded_or_read(
    settings: Settings, path: str, body: dict[str, Any]
) -> None:
    async with bank_with(settings, 0) as bank:
        bank.server.registry.loaded.clear()  # a lease would wait for the load for ever
        answer = await bank.client.post(path, json={"model": "everything", **body})
        assert answer.status_code == 402
        assert answer.json()["error"]["code"] == "insufficient_credits"
        assert not any(engine.started for engine in bank.server.engines.values())
        assert await bank.lines() == []


async def test_audio_of_unknown_length_needs_some_credit(settings: Settings) -> None:
    async with bank_with(settings, 0) as bank:
        bank.server.registry.loaded.clear()
        files = {"file": ("a.wav", b"x")}
        answer = await bank.client.post("/v1/audio/transcriptions", data={"model": "everything"}, files=files)
        assert answer.status_code == 402
        assert bank.server.engines[Task.TRANSCRIPTION].started == 0


async def test_work_that_could_not_be_paid_is_not_begun(settings: Settings) -> None:
    async with bank_with(settings, 1, duration=2.5) as bank:
        files = {"file": ("a.wav", b"x")}
        answer = await bank.client.post("/v1/audio/transcriptions", data={"model": "everything"}, files=files)
        assert answer.status_code == 402
        engine = bank.server.engines[Task.TRANSCRIPTION]
        assert (engine.started, engine.finished, engine.running) == (1, 0, 0)
        assert await bank.lines() == [("grant", Decimal(1))]


async def test_the_requests_id_is_the_ledgers_reference(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        answer = await bank.ask(max_tokens=50)
        entries = [entry async for entry in bank.ledger.entries(bank.account_id) if entry.kind != "grant"]
        assert {entry.reference for entry in entries} == {answer.headers["x-request-id"]}


async def test_limits_are_told_on_every_answer_and_enforced(settings: Settings) -> None:
    limits = Limits(requests_per_minute=2, tokens_per_minute=1000)
    async with bank_with(settings, 100, limits=limits) as bank:
        answer = await bank.ask()
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == "1"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "1000"
        second = await bank.ask()
        assert second.headers["x-ratelimit-remaining-tokens"] == "993"
        refused = await bank.ask()
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert int(refused.headers["retry-after-ms"]) <= 60_000
        assert (await bank.balance()).balance == Decimal("89.6")


async def test_an_answer_that_can_not_be_rendered_is_free(settings: Settings) -> None:
    """A bug in the middle of an answer: the client gets a 500, or an error event, and pays nothing."""
    strange = TextDelta(1, "of a choice that nobody asked for", tokens=1)
    surrogate = TextDelta(0, "\ud800", tokens=1)  # no JSON holds it
    torn = Picture(0, b"no picture", 64, 64)
    silent = Segment(0, 0, 0.0, 1.0, None, (), 0.0, 0.0, 1.0, 0.0)  # type: ignore[arg-type]
    async with bank_with(settings, 100) as bank:
        answers = bank.server.engines
        answers[Task.CHAT].script += [(Facts(2, room=50), event, Usage(2, 1)) for event in (strange, surrogate)]
        answers[Task.IMAGE].script += [(Facts(2), torn, Usage(images=1))] * 2
        answers[Task.TRANSCRIPTION].script.append((Facts(audio_seconds=1), silent, Usage(audio_seconds=1)))
        assert (await bank.ask(max_tokens=50)).status_code == 500
        assert '"code":"internal_error"' in (await bank.ask(max_tokens=50, stream=True)).text
        drawn = {"model": "everything", "prompt": "a b"}
        assert (await bank.client.post("/v1/images/generations", json=drawn)).status_code == 500
        events = (await bank.client.post("/v1/images/generations", json={**drawn, "stream": True})).text
        assert '"code":"internal_error"' in events
        heard = await bank.client.post(
            "/v1/audio/transcriptions", data={"model": "everything"}, files={"file": ("a.wav", b"x")}
        )
        assert heard.status_code == 500
        assert [kind for kind, _ in await bank.lines()] == ["grant"] + 5 * ["hold", "release"]


async def test_pictures_for_which_there_is_no_room_are_free(settings: Settings) -> None:
    async with bank_with(settings.model_copy(update={"image_store_max": 1}), 100) as bank:
        answer = await bank.client.post("/v1/images/generations", json={"model": "everything", "prompt": "a b", "n": 2})
        assert answer.status_code == 503
        assert (await bank.balance()).balance == 100


@pytest.mark.parametrize("stream", [True, False])
async def test_who_hangs_up_before_anything_came_pays_nothing(settings: Settings, stream: bool) -> None:
    async with bank_with(settings, 100) as bank:
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(stream=stream, max_tokens=50):
            engine.gate.let(1)  # Facts
            while not (await bank.balance()).held:
                await asyncio.sleep(0)
            await engine.gate.until_waiting()
        assert engine.cut_short == 1
        assert [kind for kind, _ in await bank.lines()] == ["grant", "hold", "release"]


@pytest.mark.parametrize("stream", [True, False])
async def test_who_hangs_up_pays_for_every_choice(settings: Settings, stream: bool) -> None:
    async with bank_with(settings, 100) as bank:
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(stream=stream, max_tokens=5, n=3):
            engine.gate.let(5)  # Facts, a token for each of the three, and one more
            await engine.gate.until_waiting()
        assert (await bank.balance()).balance == Decimal("95.8")


async def test_a_hold_for_several_choices_is_for_all_of_them(settings: Settings) -> None:
    async with bank_with(settings, 16) as bank:
        assert (await bank.ask(max_tokens=5, n=3)).json()["usage"]["credits"] == 15.2
        assert (await bank.balance()).balance == Decimal("0.8")
    async with bank_with(settings.model_copy(update={"data_dir": settings.data_dir / "2"}), 15) as bank:
        assert (await bank.ask(max_tokens=5, n=3)).status_code == 402


async def test_who_hangs_up_while_the_hold_is_written_gets_it_back(settings: Settings) -> None:
    posting, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        posting.set()
        await go_on.wait()

    async with bank_with(settings, 100) as bank:
        bank.postings.before = wait
        async with bank.asking(max_tokens=50) as exchange:
            await posting.wait()
            exchange.hang_up()
            await exchange.ended()
            assert bank.server.engines[Task.CHAT].running == 0
            go_on.set()
        await bank.ledger.aclose()
        assert [kind for kind, _ in await bank.lines()] == ["grant", "hold", "release"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_that_the_server_cancels_is_free_and_waited_for(settings: Settings, stream: bool) -> None:
    """As uvicorn does it with those that outlive its grace."""
    async with bank_with(settings, 100) as bank:
        engine, pipeline = bank.server.engines[Task.CHAT], bank.server.services.pipeline
        engine.gate.close()
        async with bank.asking(stream=stream, max_tokens=50) as exchange:
            engine.gate.let(3)  # Facts and two tokens
            await engine.gate.until_waiting()
            exchange.cancel()
            await pipeline.drained(10)
            assert [kind for kind, _ in await bank.lines()] == ["grant", "hold", "release"]


async def test_waiting_for_the_last_request_has_an_end(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(max_tokens=50):
            await engine.gate.until_waiting()
            await bank.server.services.pipeline.drained(0)
            assert engine.running == 1


async def test_a_bill_that_could_not_be_written_is_written_later(settings: Settings) -> None:
    async def refuse() -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    async with bank_with(settings, 100) as bank:
        gate = bank.server.engines[Task.CHAT].gate
        gate.close()
        gate.let(1)  # Facts: what waits now has its hold
        asked = asyncio.create_task(bank.ask(max_tokens=50))
        await gate.until_waiting()
        bank.postings.before = refuse
        gate.open()
        assert (await asked).status_code == 200  # the answer is not taken away
        assert (await bank.balance()).held == Decimal("50.2")
        bank.postings.before = None
        await bank.ledger.beat()
        assert (await bank.balance()).balance == Decimal("94.8")
        assert [line.cost for line in await bank.reports.usage()] == [Decimal("5.2")]


async def test_accounts_without_meter_pay_nothing_and_are_recorded(settings: Settings) -> None:
    async with bank_with(settings, 0, metered=False) as bank:
        answer = await bank.ask(max_tokens=50)
        assert "credits" not in answer.json()["usage"]
        engine = bank.server.engines[Task.CHAT]
        engine.gate.close()
        async with bank.asking(stream=True, max_tokens=50):
            engine.gate.let(2)
            await engine.gate.until_waiting()
        assert await bank.lines() == []
        assert [(line.requests, line.cost) for line in await bank.reports.usage()] == [(2, Decimal("6.4"))]


async def test_trouble_with_the_ledger_never_takes_an_answer_away(settings: Settings) -> None:
    class Broken(Free):
        async def settle(self, hold: Hold, lines: Sequence[Line], use: Use | None = None) -> Settlement:
            raise Unavailable("The accounts can't be written right now.")

    async with FakeServer(settings, bank=Broken()) as server, server.client() as client:
        answer = await client.post("/v1/chat/completions", json=ASK)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello from the fake engine."


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": ["One two.", "Three."]}),
        ("/v1/rerank", {"query": "One?", "documents": ["Two.", "Three."]}),
        ("/v1/score", {"text_1": "One?", "text_2": ["Two.", "Three."]}),
        ("/v1/moderations", {"input": ["One two.", "Three."]}),
    ],
)
async def test_what_is_embedded_or_scored_pays_by_its_tokens(
    settings: Settings, path: str, body: dict[str, Any]
) -> None:
    async with bank_with(settings, 1) as bank:
        answer = await bank.client.post(path, json={"model": "everything", **body})
        assert answer.json()["usage"]["prompt_tokens"] == 3
        assert answer.json()["usage"]["credits"] == 0.3
        assert (await bank.balance()).available == Decimal("0.7")
        long = await bank.client.post("/v1/embeddings", json={"model": "everything", "input": "one " * 8})
        assert long.status_code == 402, "8 tokens are 0.8 credits, and 0.7 are left"
        assert bank.server.engines[Task.EMBEDDING].finished == (1 if path == "/v1/embeddings" else 0)


async def test_who_hangs_up_on_embeddings_pays_for_the_texts_that_were_read(settings: Settings) -> None:
    async with bank_with(settings, 100) as bank:
        engine = bank.server.engines[Task.EMBEDDING]
        engine.script.append([Facts(prompt_tokens=50), Read(20), Read(10), Usage(prompt_tokens=50)])
        engine.gate.close()
        content = json.dumps({"model": "everything", "input": ["many", "texts"]}).encode()
        headers = {"authorization": f"Bearer {bank.key}"}
        async with bank.server.exchange("POST", "/v1/embeddings", body=content, headers=headers) as exchange:
            engine.gate.let(3)  # Facts and twice Read
            await engine.gate.until_waiting()
            exchange.hang_up()
        assert engine.cut_short == 1
        assert (await bank.balance()).balance == Decimal(97)


async def test_drafts_that_are_given_up_cost_what_was_written_of_them(settings: Settings) -> None:
    """All five are held in full; of each of the last two, one word was written when the others had settled the vote."""
    ultra = {"drafts": 5, "sure": 0.9, "judge": False, "rewrite": False, "max_tokens": 10}
    async with bank_with(settings, 100, quality={Task.CHAT: {"ultra": ultra}}) as bank:
        said: list[Event] = [TextDelta(index, "4", None, 1) for index in range(5)]
        said += [Finish(0, "stop"), Finish(1, "stop"), Finish(2, "stop")]
        never: list[Event] = [TextDelta(3, " and more", None, 100)]
        bank.server.engines[Task.CHAT].script.append([Facts(prompt_tokens=2, room=10), *said, *never])
        answer = (await bank.ask(quality="ultra")).json()
        assert answer["usage"]["quality"]["notes"][-2:] == [
            "the first 3 of 5 drafts settled it",
            "3 of 3 drafts agree",
        ]
        assert answer["usage"]["credits"] == 5.2
        balance = await bank.balance()
        assert (balance.balance, balance.held) == (Decimal("94.8"), 0)
