"""Responses are kept whole, for their own account alone, until they are deleted or expire."""

import asyncio

import pytest
from sqlalchemy import func, select, update

from server.errors import DatabaseUnavailable, InvalidRequest, NotFound, PayloadTooLarge
from server.jobs.responses.responses import Responses
from server.jobs.tables import ResponseRow
from server.storage.database import Database
from tests.accounts.conftest import Clock
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, texts, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


async def test_a_response_comes_back_as_it_was_kept(responses: Responses) -> None:
    kept = turn(ME, "question", "answer", background=False)
    number = await responses.store.keep(kept)
    found = await responses.store.find(ME, kept.id)
    assert (found.number, found.id, found.status, found.background) == (number, kept.id, "completed", False)
    assert found.response == kept.response
    page = await responses.store.input_items(ME, kept.id)
    assert (page.items, page.more) == (kept.items, False)


async def test_anothers_response_is_refused_like_one_that_never_was(responses: Responses) -> None:
    kept = turn(ME, "question", "answer")
    await responses.store.keep(kept)
    never = turn(ME, "question", "answer")
    for act in (responses.store.find, responses.store.input_items, responses.store.delete, responses.store.status):
        with pytest.raises(NotFound) as anothers:
            await act(OTHER.account_id, kept.id)
        with pytest.raises(NotFound) as none:
            await act(OTHER.account_id, never.id)
        assert anothers.value.message.replace(kept.id, "") == none.value.message.replace(never.id, "")
        assert vars(anothers.value).keys() == vars(none.value).keys()
    assert (await responses.store.find(ME, kept.id)).response == kept.response


async def test_a_deleted_response_is_gone(responses: Responses) -> None:
    kept = turn(ME, "question", "answer")
    await responses.store.keep(kept)
    await responses.store.delete(ME, kept.id)
    for act in (responses.store.find, responses.store.input_items, responses.store.delete):
        with pytest.raises(NotFound, match=f"Response with id '{kept.id}' not found"):
            await act(ME, kept.id)


async def test_an_expired_response_is_gone_before_it_is_swept(make: Make, clock: Clock) -> None:
    responses = make(response_ttl=60)
    kept = turn(ME, "question", "answer")
    await responses.store.keep(kept)
    clock.forward(seconds=59)
    await responses.store.find(ME, kept.id)
    clock.forward(seconds=1)
    with pytest.raises(NotFound):
        await responses.store.find(ME, kept.id)


async def test_input_items_are_paged_in_either_order(responses: Responses) -> None:
    items = [message(f"{place}") for place in range(5)]
    kept = turn(ME, "unused", "answer")
    kept = type(kept)(account_id=ME, response=kept.response, items=items)
    await responses.store.keep(kept)
    page = await responses.store.input_items(ME, kept.id, limit=2)
    assert (texts(page.items), page.more) == (["4", "3"], True)
    page = await responses.store.input_items(ME, kept.id, limit=3, after=page.items[-1]["id"])
    assert (texts(page.items), page.more) == (["2", "1", "0"], False)
    page = await responses.store.input_items(ME, kept.id, limit=4, after=items[0]["id"], ascending=True)
    assert (texts(page.items), page.more) == (["1", "2", "3", "4"], False)
    with pytest.raises(InvalidRequest, match="no item with id 'msg_none'") as refused:
        await responses.store.input_items(ME, kept.id, after="msg_none")
    assert refused.value.param == "after"


async def test_what_an_account_could_never_keep_is_refused_and_not_written(make: Make, database: Database) -> None:
    responses = make(max_account_responses=2000)
    with pytest.raises(PayloadTooLarge, match="an account may keep 2000"):
        await responses.store.keep(turn(ME, "question", "a" * 2000))
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ResponseRow)) == 0


async def test_large_responses_are_read_too(responses: Responses) -> None:
    kept = turn(ME, "question", "a" * 300_000)
    await responses.store.keep(kept)
    assert (await responses.store.find(ME, kept.id)).response == kept.response


async def test_an_id_that_no_database_can_hold_is_no_bodys(responses: Responses) -> None:
    kept = turn(ME, "question", "answer")
    await responses.store.keep(kept)
    talk = await responses.conversations.create(ME, {}, [message("said")])
    for odd in ("a\0b", "a\ud800"):
        for find in (responses.store.find, responses.store.delete, responses.store.input_items):
            with pytest.raises(NotFound):
                await find(ME, odd)
        with pytest.raises(NotFound):
            await responses.background.cancel(ME, odd)
        with pytest.raises(InvalidRequest, match="Previous response"):
            await responses.chain.history(ME, odd)
        for look in (responses.conversations.find, responses.conversations.history, responses.conversations.delete):
            with pytest.raises(NotFound):
                await look(ME, odd)
        for find_in in (responses.conversations.item, responses.conversations.delete_item):
            with pytest.raises(NotFound):
                await find_in(ME, talk.id, odd)
        with pytest.raises(InvalidRequest, match="after"):
            await responses.conversations.items(ME, talk.id, after=odd)
        assert await responses.references.find(ME, [odd]) == {}


async def test_a_response_that_could_not_be_followed_by_a_trim_is_kept(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = make()
    kept = turn(ME, "question", "answer")

    async def fail(*_: object) -> int:
        raise DatabaseUnavailable

    monkeypatch.setattr(responses.retention, "_trim", fail)
    await responses.store.keep(kept)
    assert (await responses.store.find(ME, kept.id)).response == kept.response


async def test_two_who_go_on_from_the_same_do_not_wait_for_each_other(
    responses: Responses, database: Database, clock: Clock
) -> None:
    if database.sqlite:  # it has one writer at a time
        return
    first = turn(ME, "question", "answer")
    number = await responses.store.keep(first)
    clock.forward(days=10)
    async with database.write() as session, asyncio.timeout(3):
        await session.execute(update(ResponseRow).values(size=ResponseRow.size))
        await responses.store.keep(turn(ME, "on", "answer", previous_id=first.id), [number])


async def test_no_text_that_a_client_sends_as_an_id_breaks_anything(responses: Responses) -> None:
    """PostgreSQL refuses statements with a NUL in a text."""
    talk = await responses.conversations.create(ME, {})
    for named in ("\0", "resp_\0", "conv_\0", "x" * 10_000, "' OR 1=1 --", ""):
        for act in (
            responses.store.find,
            responses.store.status,
            responses.store.input_items,
            responses.store.delete,
            responses.background.cancel,
            responses.conversations.find,
            responses.conversations.items,
            responses.conversations.history,
            responses.conversations.delete,
        ):
            with pytest.raises(NotFound):
                await act(ME, named)
        with pytest.raises(InvalidRequest, match="Previous response"):
            await responses.chain.history(ME, named)
        for one in (responses.conversations.item, responses.conversations.delete_item):
            with pytest.raises(NotFound, match="Item with id"):
                await one(ME, talk.id, named)
        with pytest.raises(InvalidRequest, match="there is no item"):
            await responses.conversations.items(ME, talk.id, after=named)
        assert await responses.references.find(ME, [named]) == {}
