"""Conversations keep what is said in them, whole turns together and in order."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from server.errors import InvalidRequest, NotFound
from server.jobs.responses import conversations
from server.jobs.responses.responses import Responses
from server.jobs.tables import ConversationItemRow, ConversationRow
from server.storage.database import Database
from tests.accounts.conftest import Clock
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, texts, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


async def test_a_conversation_is_made_changed_and_deleted(responses: Responses, database: Database) -> None:
    made = await responses.conversations.create(ME, {"topic": "tea"}, [message("hello")])
    assert await responses.conversations.find(ME, made.id) == made
    changed = await responses.conversations.update(ME, made.id, {"topic": "coffee", "more": "milk"})
    assert changed == replace(made, metadata={"topic": "coffee", "more": "milk"})
    assert changed.as_json() == {
        "id": made.id,
        "object": "conversation",
        "created_at": int(made.created_at.timestamp()),
        "metadata": {"topic": "coffee", "more": "milk"},
    }
    await responses.conversations.delete(ME, made.id)
    for act in (responses.conversations.find, responses.conversations.items, responses.conversations.delete):
        with pytest.raises(NotFound, match=f"Conversation with id '{made.id}' not found"):
            await act(ME, made.id)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ConversationItemRow)) == 0


async def test_anothers_conversation_looks_like_none(responses: Responses) -> None:
    made = await responses.conversations.create(ME, {}, [message("secret")])
    items = (await responses.conversations.items(ME, made.id)).items
    them = OTHER.account_id
    for act in (
        lambda: responses.conversations.find(them, made.id),
        lambda: responses.conversations.update(them, made.id, {}),
        lambda: responses.conversations.delete(them, made.id),
        lambda: responses.conversations.add(them, made.id, [message("mine")]),
        lambda: responses.conversations.items(them, made.id),
        lambda: responses.conversations.item(them, made.id, items[0]["id"]),
        lambda: responses.conversations.delete_item(them, made.id, items[0]["id"]),
        lambda: responses.conversations.history(them, made.id),
    ):
        with pytest.raises(NotFound) as refused:
            await act()
        assert refused.value.message == f"Conversation with id '{made.id}' not found."
    assert texts(await responses.conversations.history(ME, made.id)) == ["secret"]


async def test_items_are_listed_in_either_order_page_by_page(responses: Responses) -> None:
    made = await responses.conversations.create(ME, {}, [message(f"{place}") for place in range(5)])
    first = await responses.conversations.items(ME, made.id, limit=2)
    assert (texts(first.items), first.more) == (["4", "3"], True)
    rest = await responses.conversations.items(ME, made.id, limit=3, after=first.items[-1]["id"])
    assert (texts(rest.items), rest.more) == (["2", "1", "0"], False)
    up = await responses.conversations.items(ME, made.id, ascending=True, after=rest.items[-1]["id"])
    assert (texts(up.items), up.more) == (["1", "2", "3", "4"], False)
    with pytest.raises(InvalidRequest) as refused:
        await responses.conversations.items(ME, made.id, after="msg_none")
    assert refused.value.param == "after"


async def test_one_item_is_found_and_deleted(responses: Responses, database: Database) -> None:
    made = await responses.conversations.create(ME, {"a": "b"})
    async with database.read() as session:
        empty = await session.scalar(select(ConversationRow.size))
    added = await responses.conversations.add(ME, made.id, [message("one"), message("two")])
    assert await responses.conversations.item(ME, made.id, added[0]["id"]) == added[0]
    for each in added:
        assert await responses.conversations.delete_item(ME, made.id, each["id"]) == made
    assert await responses.conversations.history(ME, made.id) == []
    for act in (responses.conversations.item, responses.conversations.delete_item):
        with pytest.raises(NotFound, match=f"Item with id '{added[0]['id']}' not found"):
            await act(ME, made.id, added[0]["id"])
    async with database.read() as session:
        assert abs((await session.scalar(select(ConversationRow.size)) or 0) - (empty or 0)) <= 2


async def test_an_id_that_is_taken_is_replaced(responses: Responses) -> None:
    made = await responses.conversations.create(ME, {})
    said = message("again")
    (first,) = await responses.conversations.add(ME, made.id, [said])
    second, third = await responses.conversations.add(ME, made.id, [said, said])
    assert first == said
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert await responses.conversations.item(ME, made.id, third["id"]) == third
    other = await responses.conversations.create(OTHER.account_id, {}, [said])
    assert await responses.conversations.item(OTHER.account_id, other.id, said["id"]) == said


async def test_turns_that_end_together_are_not_mixed(responses: Responses) -> None:
    talk = await responses.conversations.create(ME, {})
    turns = [turn(ME, f"q{place}", f"a{place}", conversation_id=talk.id) for place in range(8)]
    await asyncio.gather(*(responses.store.keep(each) for each in turns))
    said = texts(await responses.conversations.history(ME, talk.id))
    assert sorted(said[::2]) == [f"q{place}" for place in range(8)]
    assert said[1::2] == [question.replace("q", "a") for question in said[::2]]


@pytest.mark.parametrize(("status", "said"), [("completed", True), ("incomplete", True), ("failed", False)])
async def test_only_what_was_answered_becomes_part_of_it(responses: Responses, status: str, said: bool) -> None:
    talk = await responses.conversations.create(ME, {})
    await responses.store.keep(turn(ME, "q", "a", conversation_id=talk.id, status=status))
    assert texts(await responses.conversations.history(ME, talk.id)) == (["q", "a"] if said else [])


async def test_a_response_outlives_the_conversation_that_was_deleted_meanwhile(responses: Responses) -> None:
    talk = await responses.conversations.create(ME, {})
    kept = turn(ME, "q", "a", conversation_id=talk.id)
    await responses.conversations.delete(ME, talk.id)
    await responses.store.keep(kept)
    assert (await responses.store.find(ME, kept.id)).response == kept.response


async def test_a_conversation_has_a_bound_and_no_answer_is_lost_to_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = make(max_body=3000)
    talk = await responses.conversations.create(ME, {}, [message("b" * 1200)])
    with pytest.raises(InvalidRequest, match="it may have 3000 bytes") as refused:
        await responses.conversations.add(ME, talk.id, [message("b" * 1000)])
    assert refused.value.param == "items"
    kept = turn(ME, "q" * 1000, "a" * 1000, conversation_id=talk.id)
    await responses.store.keep(kept)
    with pytest.raises(InvalidRequest, match="a response may have 3000") as refused:
        await responses.conversations.history(ME, talk.id)
    assert refused.value.param == "conversation"
    monkeypatch.setattr(conversations, "MOST_ITEMS", 2)
    with pytest.raises(InvalidRequest, match="more than 2 items"):
        await responses.conversations.history(ME, talk.id)


async def test_it_is_kept_as_long_as_it_is_added_to(make: Make, clock: Clock) -> None:
    responses = make(response_ttl=100)
    talk = await responses.conversations.create(ME, {})
    clock.forward(seconds=90)
    await responses.store.keep(turn(ME, "q", "a", conversation_id=talk.id))
    clock.forward(seconds=90)
    assert texts(await responses.conversations.history(ME, talk.id)) == ["q", "a"]
    clock.forward(seconds=11)
    with pytest.raises(NotFound):
        await responses.conversations.find(ME, talk.id)


async def test_metadata_count_and_are_sealed_like_what_is_said(make: Make, database: Database) -> None:
    responses = make(encrypt_responses=True)

    async def row() -> ConversationRow:
        async with database.read() as session:
            return (await session.scalars(select(ConversationRow))).one()

    made = await responses.conversations.create(ME, {"topic": "4711-raven"}, [message("hello")])
    before = (await row()).size
    more = {f"topic {place}": "4711-raven" * 50 for place in range(16)}
    await responses.conversations.update(ME, made.id, more)
    after = await row()
    assert after.size - before > 16 * 500
    assert b"raven" not in (after.details or b"")
    for reader in (responses, make(encrypt_responses=False)):
        assert (await reader.conversations.find(ME, made.id)).metadata == more
    await responses.conversations.update(ME, made.id, {"topic": "4711-raven"})
    assert (await row()).size == before


async def test_many_with_much_metadata_stay_within_the_bound(make: Make, database: Database, clock: Clock) -> None:
    responses = make(max_account_responses=20_000)
    for _ in range(10):
        clock.forward(seconds=1)
        made = await responses.conversations.create(ME, {})
        await responses.conversations.update(ME, made.id, {"a": "b" * 5000})
    async with database.read() as session:
        lengths = [len(details or b"") for details in await session.scalars(select(ConversationRow.details))]
    assert 10_000 < sum(lengths) < 20_000
