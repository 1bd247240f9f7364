"""What was said before a response is all of it, or a refusal that says what is missing."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from server.errors import InvalidRequest
from server.jobs.responses import chain
from server.jobs.responses.responses import Responses
from tests.accounts.conftest import Clock
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, texts, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


async def _turns(responses: Responses, count: int, previous: str | None = None, name: str = "q") -> list[str]:
    """Each goes on from the one before; their ids."""
    ids: list[str] = []
    for place in range(count):
        kept = turn(ME, f"{name}{place}", f"a{place}", previous_id=ids[-1] if ids else previous)
        await responses.store.keep(kept)
        ids.append(kept.id)
    return ids


async def test_all_turns_come_in_their_order(responses: Responses) -> None:
    ids = await _turns(responses, 3)
    history = await responses.chain.history(ME, ids[-1])
    assert texts(history.items) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert len(history.numbers) == 3
    assert texts((await responses.chain.history(ME, ids[0])).items) == ["q0", "a0"]


async def test_two_may_go_on_from_one(responses: Responses) -> None:
    (root,) = await _turns(responses, 1)
    left = await _turns(responses, 1, root, "left")
    right = await _turns(responses, 1, root, "right")
    assert texts((await responses.chain.history(ME, left[0])).items) == ["q0", "a0", "left0", "a0"]
    assert texts((await responses.chain.history(ME, right[0])).items) == ["q0", "a0", "right0", "a0"]


async def test_pieces_that_are_read_at_once_are_put_together(
    responses: Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "PIECE", 2)
    ids = await _turns(responses, 5)
    assert texts((await responses.chain.history(ME, ids[-1])).items)[::2] == ["q0", "q1", "q2", "q3", "q4"]


async def test_anothers_response_can_not_be_gone_on_from(responses: Responses) -> None:
    (own,) = await _turns(responses, 1)
    for named in (own, "resp_none"):
        with pytest.raises(InvalidRequest, match=f"Previous response with id '{named}' not found") as refused:
            await responses.chain.history(OTHER.account_id, named)
        assert (refused.value.param, refused.value.code) == (
            "previous_response_id",
            "previous_response_not_found",
        )


async def test_a_chain_never_becomes_shorter_in_silence(responses: Responses) -> None:
    ids = await _turns(responses, 3)
    await responses.store.delete(ME, ids[1])
    with pytest.raises(InvalidRequest, match=f"'{ids[1]}', from which '{ids[2]}' goes on, was deleted") as refused:
        await responses.chain.history(ME, ids[2])
    assert refused.value.param == "previous_response_id"
    assert texts((await responses.chain.history(ME, ids[0])).items) == ["q0", "a0"]


async def test_going_on_keeps_what_was_before(make: Make, clock: Clock) -> None:
    responses = make(response_ttl=100)
    (root,) = await _turns(responses, 1)
    clock.forward(seconds=90)
    history = await responses.chain.history(ME, root)
    later = turn(ME, "later", "a", previous_id=root)
    await responses.store.keep(later, history.numbers)
    clock.forward(seconds=90)
    assert texts((await responses.chain.history(ME, later.id)).items) == ["q0", "a0", "later", "a"]


async def test_going_on_from_a_turn_of_a_conversation_keeps_the_conversation(make: Make, clock: Clock) -> None:
    responses = make(response_ttl=100)
    talk = await responses.conversations.create(ME, {})
    first = turn(ME, "q0", "a0", conversation_id=talk.id)
    await responses.store.keep(first)
    clock.forward(seconds=90)
    later = turn(ME, "later", "a", previous_id=first.id)
    await responses.store.keep(later, (await responses.chain.history(ME, first.id)).numbers)
    clock.forward(seconds=90)
    assert texts((await responses.chain.history(ME, later.id)).items) == ["q0", "a0", "later", "a"]


async def test_an_expired_ancestor_is_named(make: Make, clock: Clock) -> None:
    responses = make(response_ttl=100)
    (root,) = await _turns(responses, 1)
    clock.forward(seconds=50)
    (later,) = await _turns(responses, 1, root)
    clock.forward(seconds=60)
    with pytest.raises(InvalidRequest, match=f"'{root}'.*was deleted or has expired"):
        await responses.chain.history(ME, later)


async def test_one_that_is_worked_on_can_not_be_gone_on_from(responses: Responses) -> None:
    begun = turn(ME, "q", status="queued", background=True)
    await responses.store.keep(begun)
    with pytest.raises(InvalidRequest, match="is queued: it can be gone on from once it is completed"):
        await responses.chain.history(ME, begun.id)


async def test_turns_and_bytes_have_a_bound(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MOST_TURNS", 3)
    responses = make()
    ids = await _turns(responses, 4)
    assert len((await responses.chain.history(ME, ids[2])).numbers) == 3
    with pytest.raises(InvalidRequest, match="more than 3 turns"):
        await responses.chain.history(ME, ids[3])
    small = make(max_body=1000)
    with pytest.raises(InvalidRequest, match="a response may have 1000"):
        await small.chain.history(ME, ids[2])


async def test_room_is_taken_for_what_is_read(responses: Responses) -> None:
    ids = await _turns(responses, 2)
    asked: list[int] = []

    @contextlib.asynccontextmanager
    async def room(size: int) -> AsyncIterator[None]:
        asked.append(size)
        yield

    await responses.chain.history(ME, ids[-1], room)
    assert len(asked) == 1
    assert asked[0] > 400


async def test_a_turn_of_a_conversation_is_gone_on_from_with_what_was_said_before_it(responses: Responses) -> None:
    talk = await responses.conversations.create(ME, {})
    first = turn(ME, "q0", "a0", conversation_id=talk.id)
    second = turn(ME, "q1", "a1", conversation_id=talk.id)
    for each in (first, second):
        await responses.store.keep(each)
    assert texts((await responses.chain.history(ME, first.id)).items) == ["q0", "a0"]
    apart = turn(ME, "q2", "a2", previous_id=second.id)
    await responses.store.keep(apart)
    assert texts((await responses.chain.history(ME, apart.id)).items) == ["q0", "a0", "q1", "a1", "q2", "a2"]
    await responses.conversations.delete(ME, talk.id)
    with pytest.raises(InvalidRequest, match=f"The conversation of response '{second.id}' was deleted"):
        await responses.chain.history(ME, apart.id)
