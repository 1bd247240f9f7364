"""Whoever follows a document sees its changes at once where this process makes them, and soon where another does."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from server.knowledge import background
from server.knowledge.followers import Followers
from server.knowledge.records import DocumentState
from server.knowledge.tables import DocumentRow
from server.storage.clock import utc_now
from server.storage.presence import Presence
from tests.knowledge.ingestion.workshop import ANNA, Workshop

pytestmark = pytest.mark.anyio


async def test_a_change_wakes_those_who_follow_that_document_alone() -> None:
    followers = Followers()
    with followers.following("doc_1") as one, followers.following("doc_1") as other, followers.following("doc_2") as no:
        followers.wake(["doc_1", "doc_3"])
        assert (one.is_set(), other.is_set(), no.is_set()) == (True, True, False)
        assert set(followers.documents) == {"doc_1", "doc_2"}
    assert not followers.documents


async def test_what_this_process_does_is_seen_without_a_look_around(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller of `train` waited for the rest of a second after its document was ready."""
    monkeypatch.setattr(background, "LOOK", 3600)
    await shop.datasets.create(ANNA, "handbook")
    async with shop.working():
        document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
        assert (await shop.ended(document)).state is DocumentState.READY


async def test_a_document_that_waits_is_not_looked_at_again_and_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each follower asked the database each second. Now one query asks for all, and who has changed is looked at."""
    monkeypatch.setattr(background, "LOOK", 0.01)
    await shop.datasets.create(ANNA, "handbook")
    documents = [await shop.ingestion.add(ANNA, "handbook", f"{one}.txt", b"text") for one in range(3)]
    later = utc_now() + timedelta(hours=1)
    async with shop.database.write() as session:
        # Another process has them, and says so: none is begun here.
        values = {"state": "reading", "instance_id": "ing_other", "seen_at": later}
        await session.execute(update(DocumentRow).values(values))
    looks: list[str] = []

    def asked(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "documents.context" in statement:
            looks.append(statement)

    event.listen(shop.database.engine, "before_cursor_execute", asked)
    folder = shop.settings.data_dir / "documents"
    async with Presence(folder, "ing_other"), shop.working():
        following = [asyncio.create_task(shop.ended(one)) for one in documents]
        await asyncio.sleep(8 * background.LOOK)
        assert len(looks) <= 2 * len(documents)
        async with shop.database.write() as session:
            values = {"state": "cancelled", "instance_id": None, "seen_at": None, "updated_at": later}
            await session.execute(update(DocumentRow).values(values))
        ended = await asyncio.gather(*following)
        assert [one.state for one in ended] == [DocumentState.CANCELLED] * 3
