"""A command that adds documents, beside a server on the same data folder and without one."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.core import Caller
from server.knowledge.background import SERVER
from server.knowledge.calls import LOCAL
from server.knowledge.ingestion import Ingestion
from server.knowledge.records import DocumentState
from server.knowledge.spool import Spool
from server.knowledge.tables import DocumentRow
from server.storage.presence import Presence
from tests.knowledge.ingestion.workshop import ANNA, FakeModels, Workshop

pytestmark = pytest.mark.anyio

MINE = Caller(key_id=LOCAL, account_id=ANNA.account_id)


def guest_of(shop: Workshop) -> Workshop:
    models = FakeModels()
    ingestion = Ingestion(
        shop.settings,
        shop.database,
        shop.index,
        shop.datasets,
        shop.documents,
        shop.removal,
        models,
        shop.payers,
        guest=True,
    )
    return replace(shop, models=models, ingestion=ingestion)


async def test_beside_a_server_the_server_does_it(shop: Workshop) -> None:
    await shop.datasets.create(ANNA, "handbook")
    guest = guest_of(shop)
    async with shop.working(), guest.working():
        added = await guest.ingestion.add(MINE, "handbook", "a.txt", b"text")
        assert (await guest.ended(added)).state is DocumentState.READY
    assert [list(texts) for _, texts in shop.models.asked] == [["text"]]
    assert [caller.key_id for caller, _ in shop.models.asked] == [LOCAL]
    assert guest.models.asked == []


async def test_without_a_server_it_does_its_own_and_nobody_elses(shop: Workshop) -> None:
    await shop.datasets.create(ANNA, "handbook")
    theirs = await shop.ingestion.add(ANNA, "handbook", "theirs.txt", b"of a key that pays")
    guest = guest_of(shop)
    async with guest.working():
        mine = await guest.ingestion.add(MINE, "handbook", "mine.txt", b"mine")
        assert (await guest.ended(mine)).state is DocumentState.READY
    assert [list(texts) for _, texts in guest.models.asked] == [["mine"]]
    assert await guest.rows(DocumentRow.id, DocumentRow.state, DocumentRow.attempts) == [
        (theirs.id, "queued", 0),
        (mine.id, "ready", 1),
    ]


async def test_it_takes_over_from_a_server_that_ends(shop: Workshop) -> None:
    await shop.datasets.create(ANNA, "handbook")
    shop.models.gate.clear()
    guest = guest_of(shop)
    async with guest.working():
        async with shop.working():
            added = await guest.ingestion.add(MINE, "handbook", "a.txt", b"text")
            await shop.models.begun.wait()
        assert (await guest.ended(added)).state is DocumentState.READY
    assert [list(texts) for _, texts in guest.models.asked] == [["text"]]


async def test_what_is_withdrawn_leaves_nothing(shop: Workshop) -> None:
    """Of one that is under way, and of one that waits; what is ready stays, and so does what others have added."""
    await shop.datasets.create(ANNA, "handbook")
    theirs = await shop.ingestion.add(ANNA, "handbook", "theirs.txt", b"theirs")
    guest = guest_of(shop)
    async with guest.working():
        ready = await guest.ingestion.add(MINE, "handbook", "ready.txt", b"ready")
        assert (await guest.ended(ready)).state is DocumentState.READY
        await guest.ingestion.settle()
        guest.models.gate.clear()
        guest.models.begun.clear()
        await guest.ingestion.add(MINE, "handbook", "large.txt", b"\n\n".join([b"word"] * 20))
        await guest.ingestion.add(MINE, "handbook", "small.txt", b"text")
        await guest.models.begun.wait()
        assert await guest.ingestion.withdraw() == 2
        assert await guest.rows(DocumentRow.id, DocumentRow.state) == [(theirs.id, "queued"), (ready.id, "ready")]
        assert await guest.texts(ready=False) == ["ready"]
        assert [name for name in guest.files() if not name.startswith(".")] == [theirs.id]
        assert not guest.ingestion.under_way
    assert await guest.ingestion.withdraw() == 0


async def test_a_process_of_another_user_is_taken_for_one_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock can't be looked at: ingestion ended over it."""
    async with Presence(tmp_path, f"{SERVER}1"), Presence(tmp_path, "cli_2") as own:
        opened: Callable[..., Any] = Path.open

        def refused(path: Path, *given: Any, **named: Any) -> Any:
            if path.name.endswith(f"{SERVER}1"):
                raise PermissionError(13, "Permission denied")
            return opened(path, *given, **named)

        monkeypatch.setattr(Path, "open", refused)
        await own.sweep()
        assert await own.others(SERVER)
        assert await own.gone([f"{SERVER}1", f"{SERVER}9"]) == {f"{SERVER}9"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_what_root_adds_is_the_servers_users(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1234)
    spool = Spool(tmp_path / "documents")
    async with spool.put("doc_1", b"text", 100), Presence(spool.folder, "cli_1"):
        pass
    async with Presence(spool.folder, "cli_1"):
        made = [spool.folder, *spool.folder.iterdir()]
        assert len(made) == 3
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(1234, 1234)}
