"""Items are found by their ids alone, and no request has more of them read than one may have."""

import pytest

from server.errors import InvalidRequest
from server.jobs.responses.responses import Responses
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id


async def test_items_are_found_wherever_they_are(responses: Responses) -> None:
    kept, more = turn(ME, "question", "answer"), turn(ME, "and?", "yes")
    for each in (kept, more):
        await responses.store.keep(each)
    talk = await responses.conversations.create(ME, {}, [said := message("said")])
    items = [*kept.items, *kept.response["output"], *more.items, said]
    names = [item["id"] for item in items]
    assert await responses.references.find(ME, [*names, "msg_none"]) == dict(zip(names, items, strict=True))
    assert await responses.references.find(OTHER.account_id, names) == {}
    await responses.conversations.delete(ME, talk.id)
    await responses.store.delete(ME, kept.id)
    assert await responses.references.find(ME, names) == {more.items[0]["id"]: more.items[0]}


async def test_of_two_with_an_id_it_is_the_newest(responses: Responses) -> None:
    for text in ("old", "new"):
        kept = turn(ME, "unused", "answer")
        own = {**message(text), "id": "msg_1"}
        await responses.store.keep(type(kept)(account_id=ME, response=kept.response, items=[own]))
    assert await responses.references.find(ME, ["msg_1"]) == {"msg_1": own}
    for text in ("old", "new"):
        said = {**message(text), "id": "msg_2"}
        await responses.conversations.create(ME, {}, [said])
    assert await responses.references.find(ME, ["msg_2"]) == {"msg_2": said}


async def test_more_than_a_request_may_have_is_not_read(make: Make) -> None:
    responses = make(max_body=3000)
    names = []
    for _ in range(2):
        kept = turn(ME, "q", "a" * 1500)
        await responses.store.keep(kept)
        names.append(kept.items[0]["id"])
    assert len(await responses.references.find(ME, names[:1])) == 1
    with pytest.raises(InvalidRequest, match="a response may have 3000") as refused:
        await responses.references.find(ME, names)
    assert refused.value.param == "input"
    talk = await responses.conversations.create(ME, {}, [first := message("a" * 1500)])
    second = message("a" * 1500)
    await responses.conversations.create(ME, {}, [second])
    assert await responses.references.find(ME, [first["id"]]) == {first["id"]: first}, talk
    with pytest.raises(InvalidRequest, match="a response may have 3000"):
        await responses.references.find(ME, [first["id"], second["id"]])
