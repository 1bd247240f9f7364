"""Items by their ids alone: of the account's, the newest of an id, and no more of them than a request could bring."""

import pytest

from server.errors import InvalidRequest
from server.jobs.responses import references
from server.jobs.responses.responses import Responses
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


async def test_items_are_found_wherever_they_are(responses: Responses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "PIECE", 2)
    kept = turn(ME, "question", "answer")
    await responses.store.keep(kept)
    talk = await responses.conversations.create(ME, {}, said := [message("said"), message("more"), message("yet more")])
    all_of_them = {item["id"]: item for item in (*kept.items, *kept.response["output"], *said)}
    assert await responses.references.find(ME, [*all_of_them, "msg_none"]) == all_of_them
    assert await responses.references.find(OTHER.account_id, list(all_of_them)) == {}
    await responses.conversations.delete(ME, talk.id)
    await responses.store.delete(ME, kept.id)
    assert await responses.references.find(ME, list(all_of_them)) == {}


async def test_of_several_with_one_id_the_newest_is_meant(responses: Responses) -> None:
    first, last = turn(ME, "old"), turn(ME, "new")
    for kept in (first, last):
        kept.items[0]["id"] = "msg_1"  # type: ignore[index]
        await responses.store.keep(kept)
    await responses.conversations.create(ME, {}, [{**message("in a conversation"), "id": "msg_1"}])
    assert await responses.references.find(ME, ["msg_1"]) == {"msg_1": last.items[0]}


async def test_an_id_that_another_account_has_too_is_its_own(responses: Responses) -> None:
    for account_id, words in ((ME, "mine"), (OTHER.account_id, "theirs")):
        kept = turn(account_id, words)
        kept.items[0]["id"] = "msg_1"  # type: ignore[index]
        await responses.store.keep(kept)
    for account_id, words in ((ME, "mine"), (OTHER.account_id, "theirs")):
        found = await responses.references.find(account_id, ["msg_1"])
        assert found["msg_1"]["content"][0]["text"] == words


async def test_naming_an_item_often_is_no_way_to_bring_more_than_a_request_may(make: Make) -> None:
    responses = make(max_body=10_000)
    kept = turn(ME, "q", "a" * 3000)
    await responses.store.keep(kept)
    talked = await responses.conversations.create(ME, {}, [message("b" * 3000)])
    [said] = (await responses.conversations.items(ME, talked.id)).items
    for item in (kept.response["output"][0], said):
        assert await responses.references.find(ME, [item["id"]] * 3) == {item["id"]: item}
        with pytest.raises(InvalidRequest, match="10000 are read for one response") as refused:
            await responses.references.find(ME, [item["id"]] * 4)
        assert refused.value.param == "input"


async def test_what_small_items_lie_in_is_bounded_too(make: Make) -> None:
    responses = make(max_body=4000)
    ids = []
    for _ in range(5):
        kept = turn(ME, "small", "a" * 4000)
        await responses.store.keep(kept)
        ids.append(kept.items[0]["id"])
    assert len(await responses.references.find(ME, ids[:3])) == 3
    with pytest.raises(InvalidRequest, match="16000 are read"):
        await responses.references.find(ME, ids)


async def test_a_response_is_read_once_for_all_that_is_meant_of_it(
    responses: Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = turn(ME, "q", "a")
    kept.items.extend(message(f"{place}") for place in range(50))  # type: ignore[attr-defined]
    await responses.store.keep(kept)
    reads = []
    read = references.read

    async def counted(*of: object) -> object:
        reads.append(of[1])
        return await read(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(references, "read", counted)
    assert len(await responses.references.find(ME, [item["id"] for item in kept.items])) == 51
    assert len(reads) == 2, "what was sent, and what was answered"
