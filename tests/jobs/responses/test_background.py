"""Background responses end as they should, whoever asks, whichever process works on them, and whatever dies."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from server.errors import (
    DatabaseUnavailable,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    SageholdError,
    ServerStopping,
)
from server.jobs.responses import background as module
from server.jobs.responses import claims, upkeep
from server.jobs.responses import work as work_module
from server.jobs.responses.events import Event
from server.jobs.responses.records import Turn
from server.jobs.responses.responses import Responses
from server.jobs.responses.upkeep import DIED
from server.jobs.responses.work import Work
from server.jobs.tables import ResponseEventsRow, ResponseRow
from server.storage.database import Database
from server.storage.presence import PRESENCE, Presence
from tests.accounts.conftest import Clock
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, texts, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


def _event(kind: str, number: int, **fields: Any) -> Event:
    return Event.of({"type": kind, "sequence_number": number, **fields})


class Steered:
    """A response that says a word whenever it is let, and ends when it is told."""

    def __init__(self, turn: Turn, refusal: Exception | None = None) -> None:
        self.response = dict(turn.response)
        self.refusal = refusal
        self.words: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.inside = 0
        self.begins = asyncio.Event()
        self.begins.set()
        self.closed = asyncio.Event()
        self.unwanted = False
        self.before_closing: Callable[[], Awaitable[object]] | None = None

    @asynccontextmanager
    async def admitted(self) -> AsyncGenerator[None, None]:
        if self.refusal is not None:
            raise self.refusal
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def fault(self, error: SageholdError) -> Mapping[str, Any]:
        return {"code": "server_error", "message": error.message}

    def cancel(self) -> None:
        self.unwanted = True

    def now(self) -> Mapping[str, Any]:
        return self.response

    async def events(self) -> AsyncGenerator[Event, None]:
        number = 0
        try:
            await self.begins.wait()
            yield _event("response.created", number, response=dict(self.response))
            while (word := await self.words.get()) is not None:
                if isinstance(word, Exception):
                    raise word
                number += 1
                self.response["output"] = [*self.response["output"], message(word, "assistant")]
                yield _event("response.output_text.delta", number, delta=word)
            self.response["status"] = "completed"
            yield _event("response.completed", number + 1, response=self.response)
        finally:
            self.closed.set()
            if self.before_closing is not None:
                await self.before_closing()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for where, name in ((module, "FLUSH"), (upkeep, "FLUSH"), (upkeep, "LOOK")):
        monkeypatch.setattr(where, name, 0.01)


@asynccontextmanager
async def running(responses: Responses, grace: float = 0.0) -> AsyncGenerator[Responses, None]:
    task = asyncio.create_task(responses.upkeep.run())
    try:
        yield responses
    finally:
        until = time.monotonic() + grace
        await responses.background.drain(lambda: until - time.monotonic())
        task.cancel()
        await asyncio.wait([task])


def asked(account: str = ME, **more: Any) -> Turn:
    return turn(account, "q", status="queued", background=True, streamed=True, **more)


async def read(responses: Responses, named: str, after: int = -1) -> list[Event]:
    kept = await responses.store.find(ME, named)
    async with asyncio.timeout(10), aclosing(responses.background.follow(kept, after)) as events:
        return [event async for event in events]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.005)


async def test_a_response_is_queued_worked_on_and_completed(responses: Responses) -> None:
    async with running(responses):
        begun = asked()
        made = Steered(begun)
        made.begins.clear()  # its first event is soon written, and then it is in progress
        await responses.background.begin(begun, made)
        found = await responses.store.find(ME, begun.id)
        assert (found.status, found.response["status"], found.background) == ("queued", "queued", True)
        made.begins.set()
        made.words.put_nowait("one")

        async def worked_on() -> bool:
            return await responses.store.status(ME, begun.id) == "in_progress"

        await until(worked_on)
        made.words.put_nowait("two")
        made.words.put_nowait(None)
        events = await read(responses, begun.id)
        found = await responses.store.find(ME, begun.id)
        assert found.response["status"] == "completed"
        assert texts(found.response["output"]) == ["one", "two"]
        assert [event.number for event in events] == [0, 1, 2, 3]
        assert [event.kind for event in events][-1] == "response.completed"
        assert made.inside == 0
        assert responses.background.open == 0


async def test_the_end_is_seen_once_it_is_written(responses: Responses) -> None:
    async with running(responses):
        begun = asked()
        made = Steered(begun)
        await responses.background.begin(begun, made)
        made.words.put_nowait(None)
        kept = await responses.store.find(ME, begun.id)
        async for event in responses.background.follow(kept, -1):
            if event.kind == "response.completed":
                assert await responses.store.status(ME, begun.id) == "completed"


async def test_a_stream_is_taken_up_after_any_event_here_and_elsewhere_now_and_later(make: Make) -> None:
    here, elsewhere = make(), make(encrypt_responses=True)
    async with running(here), running(elsewhere):
        begun = asked()
        made = Steered(begun)
        await here.background.begin(begun, made)
        for place in range(5):
            made.words.put_nowait(f"{place}")
        followers = [asyncio.create_task(read(each, begun.id, 2)) for each in (here, elsewhere)]
        made.words.put_nowait(None)
        live, polled = await asyncio.gather(*followers)
        assert [event.number for event in live] == [3, 4, 5, 6]
        assert polled == live
        for each in (here, elsewhere):
            again = await read(each, begun.id)
            assert [event.number for event in again] == list(range(7))
            assert again[3:] == live
            assert await read(each, begun.id, 6) == []
            assert await read(each, begun.id, 600) == []


async def test_refusals_come_before_anything_is_written(responses: Responses, database: Database) -> None:
    async with running(responses):
        begun = asked()
        with pytest.raises(InsufficientCredits, match="poor"):
            await responses.background.begin(begun, Steered(begun, InsufficientCredits("poor")))
        async with database.read() as session:
            assert (await session.execute(select(ResponseRow.id))).all() == []
        assert responses.background.open == 0


async def test_an_account_may_have_so_many_under_way(responses: Responses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_OPEN", 2)
    async with running(responses):
        for _ in range(2):
            begun = asked()
            await responses.background.begin(begun, Steered(begun))
        begun = asked()
        with pytest.raises(RateLimited, match="may have 2 background responses"):
            await responses.background.begin(begun, Steered(begun))
        begun = asked(OTHER.account_id)
        await responses.background.begin(begun, Steered(begun))


async def test_no_more_of_them_are_begun_at_once_either(responses: Responses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_OPEN", 2)
    async with running(responses):
        turns = [asked() for _ in range(10)]
        begun = await asyncio.gather(
            *(responses.background.begin(turn, Steered(turn)) for turn in turns), return_exceptions=True
        )
        assert [type(one) for one in begun].count(RateLimited) == 8
        assert responses.background.open == 2


async def test_an_error_fails_it_in_words(responses: Responses) -> None:
    async with running(responses):
        for error, words in (
            (Overloaded("too many wait"), "too many wait"),
            (KeyError("a bug of ours"), "The server had an error"),
        ):
            begun = asked()
            made = Steered(begun)
            await responses.background.begin(begun, made)
            made.words.put_nowait("one")
            made.words.put_nowait(error)
            events = await read(responses, begun.id)
            assert [event.kind for event in events][-1] == "response.failed"
            found = (await responses.store.find(ME, begun.id)).response
            assert found["status"] == "failed"
            assert found["error"]["code"] == "server_error"
            assert found["error"]["message"].startswith(words)
            assert texts(found["output"]) == ["one"]


async def test_a_cancelled_one_keeps_what_was_made(responses: Responses) -> None:
    async with running(responses):
        begun = asked()
        made = Steered(begun)
        await responses.background.begin(begun, made)
        made.words.put_nowait("one")
        kept = await responses.store.find(ME, begun.id)
        following = asyncio.create_task(read(responses, begun.id))
        async for event in responses.background.follow(kept, 0):
            assert event.number == 1
            break
        cancelled = await responses.background.cancel(ME, begun.id)
        assert made.closed.is_set()
        assert made.unwanted
        assert (cancelled.status, texts(cancelled.response["output"])) == ("cancelled", ["one"])
        events = await following
        assert [event.kind for event in events][-1] == "response.incomplete"
        assert b'"status":"cancelled"' in events[-1].data
        again = await responses.background.cancel(ME, begun.id)
        assert again.response == cancelled.response


async def test_another_process_cancels_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACKNOWLEDGED", 600)  # it ends when it is told that it was, and by no limit
    here, elsewhere = make(), make()
    async with running(here), running(elsewhere):
        begun = asked()
        made = Steered(begun)
        await here.background.begin(begun, made)
        made.words.put_nowait("one")
        await here.upkeep.write(here.background._works[begun.id])
        async with asyncio.timeout(30):
            cancelled = await elsewhere.background.cancel(ME, begun.id)
        assert made.closed.is_set()
        assert made.unwanted
        assert (cancelled.status, texts(cancelled.response["output"])) == ("cancelled", ["one"])
        assert [event.kind for event in await read(elsewhere, begun.id)][-1] == "response.incomplete"


async def test_what_is_done_can_be_cancelled_without_harm_and_anothers_not_at_all(responses: Responses) -> None:
    done = turn(ME, "q", "a", background=True)
    await responses.store.keep(done)
    assert (await responses.background.cancel(ME, done.id)).response == done.response
    for account, named in ((OTHER.account_id, done.id), (ME, "resp_none")):
        with pytest.raises(NotFound):
            await responses.background.cancel(account, named)


async def test_a_deleted_one_is_worked_on_no_more(make: Make) -> None:
    here, elsewhere = make(), make()
    async with running(here), running(elsewhere):
        begun = asked()
        made = Steered(begun)
        await here.background.begin(begun, made)
        kept = await elsewhere.store.find(ME, begun.id)
        await elsewhere.store.delete(ME, begun.id)
        async with asyncio.timeout(5):
            await made.closed.wait()
            assert [event async for event in elsewhere.background.follow(kept, -1)] == []
        with pytest.raises(NotFound):
            await here.store.find(ME, begun.id)


async def test_whoever_hangs_up_before_the_answer_wants_nothing(responses: Responses) -> None:
    begun = asked()
    made = Steered(begun)
    entered = asyncio.Event()

    @asynccontextmanager
    async def waiting() -> AsyncGenerator[None, None]:
        entered.set()
        await asyncio.sleep(60)
        yield

    made.admitted = waiting  # type: ignore[method-assign]
    asking = asyncio.create_task(responses.background.begin(begun, made))
    await entered.wait()
    asking.cancel()
    await asyncio.wait([asking])

    async def gone() -> bool:
        return responses.background.open == 0

    await until(gone)
    with pytest.raises(NotFound):
        await responses.store.find(ME, begun.id)


async def test_the_end_waits_for_the_grace_and_then_fails_what_is_left(responses: Responses) -> None:
    quick, slow = asked(), asked()
    made = Steered(quick), Steered(slow)
    async with running(responses, grace=0.3):
        for each, making in zip((quick, slow), made, strict=True):
            await responses.background.begin(each, making)
            making.words.put_nowait("one")
        asyncio.get_running_loop().call_later(0.05, made[0].words.put_nowait, None)
    assert (await responses.store.find(ME, quick.id)).status == "completed"
    found = (await responses.store.find(ME, slow.id)).response
    assert found["status"] == "failed"
    assert found["error"]["message"].startswith("The server is shutting down")
    assert made[1].inside == 0


async def _orphan(responses: Responses, database: Database, instance: str) -> Turn:
    """A response whose process wrote some of its events, and then died."""
    begun = asked()
    number = await responses.store.keep(begun, instance_id=instance)
    claim = claims.Claim(number, begun.id, ME, instance, True)
    await responses.background._claims.write(claim, [_event("response.created", 0, response=dict(begun.response))])
    return begun


async def test_the_next_start_fails_what_a_killed_process_left(responses: Responses, database: Database) -> None:
    begun = await _orphan(responses, database, "rsp_dead")
    folder = responses.upkeep._folder
    folder.mkdir(parents=True)
    (folder / f"{PRESENCE}rsp_dead").touch()
    async with Presence(folder, "rsp_here") as presence:
        await responses.upkeep.sweep(presence)
    found = (await responses.store.find(ME, begun.id)).response
    assert (found["status"], found["error"]) == ("failed", {"code": "server_error", "message": DIED})
    assert [(event.number, event.kind) for event in await read(responses, begun.id)] == [
        (0, "response.created"),
        (1, "response.failed"),
    ]
    assert not (folder / f"{PRESENCE}rsp_dead").exists()


async def test_one_at_work_on_another_machine_is_left_alone_until_it_is_silent(
    responses: Responses, database: Database, clock: Clock
) -> None:
    begun = await _orphan(responses, database, "rsp_elsewhere")
    folder = responses.upkeep._folder
    async with Presence(folder, "rsp_here") as presence:
        clock.forward(seconds=119)
        await responses.upkeep.sweep(presence)
        assert await responses.store.status(ME, begun.id) == "in_progress"
        clock.forward(seconds=2)
        await responses.upkeep.sweep(presence)
        assert await responses.store.status(ME, begun.id) == "failed"


async def test_a_living_neighbour_on_the_folder_is_left_alone_however_silent(
    responses: Responses, database: Database, clock: Clock
) -> None:
    begun = await _orphan(responses, database, "rsp_neighbour")
    folder = responses.upkeep._folder
    async with Presence(folder, "rsp_here") as presence, Presence(folder, "rsp_neighbour"):
        clock.forward(seconds=600)
        await responses.upkeep.sweep(presence)
        assert await responses.store.status(ME, begun.id) == "in_progress"


async def test_one_cancelled_while_its_process_was_dead_is_let_go(
    responses: Responses, database: Database, clock: Clock
) -> None:
    begun = await _orphan(responses, database, "rsp_dead")
    async with database.write() as session:
        await session.execute(update(ResponseRow).values(status="cancelled"))
    clock.forward(seconds=121)
    async with Presence(responses.upkeep._folder, "rsp_here") as presence:
        await responses.upkeep.sweep(presence)
    assert (await responses.store.find(ME, begun.id)).status == "cancelled"
    assert [event.kind for event in await read(responses, begun.id)][-1] == "response.incomplete"


async def test_a_process_that_was_taken_for_dead_writes_nothing_more(responses: Responses, database: Database) -> None:
    async with running(responses):
        begun = asked()
        made = Steered(begun)
        await responses.background.begin(begun, made)
        async with database.write() as session:
            await session.execute(update(ResponseRow).values(status="failed", instance_id=None))
        async with asyncio.timeout(5):
            await made.closed.wait()

    assert (await responses.store.find(ME, begun.id)).status == "failed"


async def test_a_turn_in_a_conversation_is_added_when_it_is_done(responses: Responses) -> None:
    async with running(responses):
        talk = await responses.conversations.create(ME, {})
        begun = asked(conversation_id=talk.id)
        made = Steered(begun)
        await responses.background.begin(begun, made)
        assert await responses.conversations.history(ME, talk.id) == []
        made.words.put_nowait("one")
        made.words.put_nowait(None)
        await read(responses, begun.id)
        assert texts(await responses.conversations.history(ME, talk.id)) == ["q", "one"]


async def test_what_is_cancelled_elsewhere_in_the_moment_of_its_end_is_let_go(
    responses: Responses, database: Database
) -> None:
    async with running(responses):
        begun = asked()
        made = Steered(begun)
        work = await responses.background.begin(begun, made)
        made.before_closing = asyncio.Event().wait
        made.words.put_nowait(None)
        await made.closed.wait()
        async with database.write() as session:
            await session.execute(update(ResponseRow).values(status="cancelled"))
        while not work.done:
            await work.changed.wait()
        assert await responses.background._claims.let_go(begun.id)
        assert (await responses.store.find(ME, begun.id)).status == "cancelled"
        events = await read(responses, begun.id)
        assert [event.number for event in events] == [0, 1]
        assert (events[-1].kind, b'"status":"cancelled"' in events[-1].data) == ("response.incomplete", True)


async def test_an_end_that_was_written_without_an_answer_is_not_written_twice(
    responses: Responses, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = responses.background._claims.end
    calls = 0

    async def lost(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        await end(*arguments)
        if calls == 1:
            raise DatabaseUnavailable

    async with running(responses):
        talk = await responses.conversations.create(ME, {})
        begun = asked(conversation_id=talk.id)
        made = Steered(begun)
        work = await responses.background.begin(begun, made)
        monkeypatch.setattr(responses.background._claims, "end", lost)
        monkeypatch.setattr(module, "AGAIN", 0)
        made.words.put_nowait("one")
        made.words.put_nowait(None)
        while not work.done:
            await work.changed.wait()
        assert calls == 2
        assert work.events[-1].kind == "response.completed"
        assert (await responses.store.find(ME, begun.id)).status == "completed"
        assert texts(await responses.conversations.history(ME, talk.id)) == ["q", "one"]
        assert [event.number for event in await read(responses, begun.id)] == [0, 1, 2]


async def test_one_that_was_encrypted_under_another_secret_is_buried_too(
    make: Make, database: Database, clock: Clock
) -> None:
    begun = await _orphan(make(secret=b"o" * 32, encrypt_responses=True), database, "rsp_dead")
    responses = make()
    clock.forward(seconds=121)
    async with Presence(responses.upkeep._folder, "rsp_here") as presence:
        await responses.upkeep.sweep(presence)
        assert await responses.background._claims.others("rsp_here") == []
    assert await responses.store.status(ME, begun.id) == "failed"
    with pytest.raises(InvalidRequest, match="can't be read any more"):
        await responses.store.find(ME, begun.id)


async def test_a_long_stream_is_not_held_in_memory(responses: Responses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "AT_HAND", 3)
    async with running(responses):
        begun = asked()
        made = Steered(begun)
        work = await responses.background.begin(begun, made)
        kept = await responses.store.find(ME, begun.id)
        slow = responses.background.follow(kept, -1)
        assert (await anext(slow)).number == 0
        for place in range(40):
            made.words.put_nowait(f"{place}")

            async def is_written(count: int = place + 2) -> bool:
                return work.written == count

            await until(is_written)
        assert (work.count, work.first) == (41, 41 - len(work.events))
        assert len(work.events) <= 6
        made.words.put_nowait(None)
        assert [event.number for event in await read(responses, begun.id)] == list(range(42))
        assert [event.number async for event in slow] == list(range(1, 42))
        assert [event.number for event in await read(responses, begun.id, 39)] == [40, 41]


async def test_of_one_that_nobody_may_follow_it_is_written_once_that_it_is_worked_on(
    responses: Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    write = responses.background._claims.write

    async def counted(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        await write(*arguments)

    monkeypatch.setattr(responses.background._claims, "write", counted)
    async with running(responses):
        begun = turn(ME, "q", status="queued", background=True)
        made = Steered(begun)
        work = await responses.background.begin(begun, made)

        async def worked_on() -> bool:
            return await responses.store.status(ME, begun.id) == "in_progress"

        await until(worked_on)
        for place in range(5):
            made.words.put_nowait(f"{place}")
            while work.count < place + 2:
                await asyncio.sleep(0)
            await responses.upkeep.write(work)
        assert (writes, work.events) == (1, [])
        made.words.put_nowait(None)
        while not work.done:
            await work.changed.wait()
        assert len((await responses.store.find(ME, begun.id)).response["output"]) == 5


async def test_those_that_come_at_once_are_counted_before_they_are_written(
    responses: Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "MOST_OPEN", 2)
    async with running(responses):
        turns = [asked() for _ in range(6)]
        begun = await asyncio.gather(
            *(responses.background.begin(each, Steered(each)) for each in turns), return_exceptions=True
        )
        assert sum(isinstance(each, RateLimited) for each in begun) == 4


async def test_one_that_the_end_meets_before_its_first_step_is_refused(responses: Responses) -> None:
    begun = asked()
    asking = asyncio.create_task(responses.background.begin(begun, Steered(begun)))
    while not responses.background.open:
        await asyncio.sleep(0)
    responses.background._works[begun.id].task.cancel()
    with pytest.raises(ServerStopping):
        await asking


async def test_a_word_from_a_machine_whose_clock_is_late_is_one_of_now(
    responses: Responses, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = clock() - timedelta(seconds=600)
    monkeypatch.setattr(responses.store, "_now", lambda: late)
    begun = await _orphan(responses, database, "rsp_elsewhere")
    async with Presence(responses.upkeep._folder, "rsp_here") as presence:
        await responses.upkeep.sweep(presence)
    assert await responses.store.status(ME, begun.id) == "in_progress"


async def test_events_go_with_their_response_and_none_are_kept_unasked(
    responses: Responses, database: Database
) -> None:
    async with running(responses):
        begun = turn(ME, "q", status="queued", background=True)
        made = Steered(begun)
        work: Work = await responses.background.begin(begun, made)
        made.words.put_nowait("one")
        made.words.put_nowait(None)
        while not work.done:
            await work.changed.wait()
        assert (await responses.store.find(ME, begun.id)).status == "completed"
        streamed = asked()
        made = Steered(streamed)
        await responses.background.begin(streamed, made)
        made.words.put_nowait(None)
        await read(responses, streamed.id)
        async with database.read() as session:
            assert len((await session.execute(select(ResponseEventsRow.first))).all()) >= 1
        await responses.store.delete(ME, streamed.id)
        async with database.read() as session:
            assert (await session.execute(select(ResponseEventsRow.first))).all() == []
