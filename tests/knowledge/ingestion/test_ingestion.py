"""From added to found, and every way in which that ends otherwise."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from server.errors import (
    Conflict,
    DatasetNotFound,
    EngineFailed,
    InsufficientCredits,
    InvalidRequest,
    KnowledgeUnavailable,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    ServerStopping,
)
from server.knowledge.records import DocumentState, Permission
from server.knowledge.tables import DatasetRow, DocumentRow
from server.storage.clock import utc_now
from tests.knowledge.ingestion.workshop import ANNA, BERT, Workshop, workshop

pytestmark = pytest.mark.anyio
TEXT = b"one two three\n\nfour five"


async def dataset(shop: Workshop) -> str:
    await shop.datasets.create(ANNA, "handbook")
    return "handbook"


# ------------------------------------------------------------ well


async def test_a_document_is_read_embedded_and_found(shop: Workshop) -> None:
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "folder/notes.txt", TEXT, context="of 2026")
    assert (document.state, document.filename, document.size) == (DocumentState.QUEUED, "notes.txt", len(TEXT))
    [file] = shop.files()
    assert (shop.settings.data_dir / "documents" / file).read_bytes() == TEXT
    assert (shop.settings.data_dir / "documents" / file).stat().st_mode & 0o777 == 0o600
    async with shop.working():
        ended = await shop.ended(document)
        await shop.idle()
    assert (ended.state, ended.chunks, ended.tokens, ended.attempts) == (DocumentState.READY, 1, 5, 1)
    assert (ended.done, ended.total, ended.error, ended.context) == (1, 1, None, "of 2026")
    assert " ".join(await shop.texts()).split() == TEXT.decode().split()
    [(model, dimensions, revision)] = await shop.dataset_rows(
        DatasetRow.model, DatasetRow.dimensions, DatasetRow.revision
    )
    assert (model, dimensions) == ("tiny", 4)
    assert revision >= 1
    assert shop.files() == [], "the file is of no use any more, and neither is the lock"
    assert shop.models.asked[0][0] == ANNA, "who added it pays"
    assert ("sagehold_documents_ended_total", {"state": "ready"}, 1.0) in shop.samples()
    assert ("sagehold_chunks_stored_total", {}, 1.0) in shop.samples()


async def test_a_recording_is_transcribed(shop: Workshop) -> None:
    await dataset(shop)
    async with shop.working():
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "talk.mp3", b"sound"))
    assert "good morning" in " ".join(await shop.texts())
    assert shop.reader.names == []


async def test_a_document_of_the_same_name_is_replaced_when_the_new_one_is_ready(shop: Workshop) -> None:
    await dataset(shop)
    async with shop.working():
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"old"))
        shop.models.gate.clear()
        shop.models.begun.clear()
        new = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"new")
        await shop.models.begun.wait()
        assert await shop.texts() == ["old"]
        shop.models.gate.set()
        await shop.ended(new)
        assert await shop.texts() == ["new"]
        await shop.removal.finish()
        assert await shop.texts(ready=False) == ["new"]
    assert [document.id for _, document in await shop.documents.list(ANNA)] == [new.id]


async def test_a_document_that_is_older_than_one_of_its_name_does_not_replace_it(shop: Workshop) -> None:
    await dataset(shop)
    old = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"old")
    other = shop.another()
    new = await other.ingestion.add(ANNA, "handbook", "a.txt", b"new")
    shop.reader.gate.clear()
    async with shop.working():
        await shop.reader.begun.wait()  # the old one
        newer = (await shop.waiting())[1]
        claim = await other.queue.claim(newer)
        assert claim is not None
        shop.reader.gate.set()
        await other.work(claim).run()
        assert await shop.texts() == ["new"]
        await shop.ended(old)
    assert await shop.texts() == ["new"]
    assert [document.id for _, document in await shop.documents.list(ANNA)] == [new.id]


async def test_whoever_follows_sees_each_state_and_how_far_it_is(shop: Workshop) -> None:
    await dataset(shop)
    shop.reader.gate.clear()
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    seen = []
    async with shop.working():
        async for one in shop.ingestion.follow(document.id):
            seen.append((one.state, one.done, one.total))
            if one.state is DocumentState.READING and one.done == 1:
                shop.reader.gate.set()
    assert seen[0] == ("queued", 0, 0)
    assert ("reading", 1, 2) in seen
    assert seen[-1] == ("ready", 1, 1)


async def test_many_chunks_are_embedded_in_batches(shop: Workshop) -> None:
    await dataset(shop)
    words = b" ".join(b"w%d." % number for number in range(150))
    async with shop.working():
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", words))
    assert ended.chunks == len(await shop.texts()) > 9
    assert sum(len(texts) for _, texts in shop.models.asked) == ended.chunks


# ------------------------------------------------------------ what is not taken


async def test_what_is_not_taken(shop: Workshop, tmp_path: Path) -> None:
    await dataset(shop)
    add = shop.ingestion.add
    with pytest.raises(PayloadTooLarge, match="1,000 bytes"):
        await add(ANNA, "handbook", "a.txt", b"x" * 1001)
    (tmp_path / "big").write_bytes(b"x" * 1001)
    with pytest.raises(PayloadTooLarge):
        await add(ANNA, "handbook", "a.txt", tmp_path / "big")
    with pytest.raises(FileNotFoundError):
        await add(ANNA, "handbook", "a.txt", tmp_path / "none")
    for name in ("a.exe", "", "a", "..", "a\n.txt", f"{'x' * 260}.txt", "a\0.txt"):
        with pytest.raises(InvalidRequest) as refused:
            await add(ANNA, "handbook", name, b"text")
        assert refused.value.param == "filename", name
    with pytest.raises(InvalidRequest, match="empty"):
        await add(ANNA, "handbook", "a.txt", b"")
    with pytest.raises(InvalidRequest, match="context"):
        await add(ANNA, "handbook", "a.txt", b"text", context="\0")
    for name in ("handbook", "nothing"):
        with pytest.raises(DatasetNotFound):
            await add(BERT, name, "a.txt", b"text")
    await shop.datasets.assign(ANNA, "handbook", BERT.account_id, Permission.READ)
    with pytest.raises(PermissionDenied):
        await add(BERT, "handbook", "a.txt", b"text")
    assert shop.files() == []
    assert await shop.rows(DocumentRow.id) == []


async def test_a_file_is_taken_by_its_path(shop: Workshop, tmp_path: Path) -> None:
    await dataset(shop)
    (tmp_path / "notes").write_bytes(TEXT)
    document = await shop.ingestion.add(ANNA, "handbook", "notes.txt", tmp_path / "notes")
    assert document.size == len(TEXT)
    assert (tmp_path / "notes").read_bytes() == TEXT


async def test_without_an_embedding_model_nothing_is_taken(shop: Workshop) -> None:
    await dataset(shop)
    shop.models.embedding = None
    with pytest.raises(KnowledgeUnavailable, match="no embedding model"):
        await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    shop.models.transcribes = False
    shop.models.embedding = "tiny"
    with pytest.raises(InvalidRequest, match="no model that transcribes"):
        await shop.ingestion.add(ANNA, "handbook", "a.mp3", b"sound")


async def test_a_dataset_keeps_its_model(shop: Workshop) -> None:
    await dataset(shop)
    async with shop.working():
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text"))
        shop.models.embedding, shop.models.served = "other", {"other"}
        with pytest.raises(KnowledgeUnavailable, match="made with the embedding model tiny"):
            await shop.ingestion.add(ANNA, "handbook", "b.txt", b"text")
        shop.models.served.add("tiny")
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "b.txt", b"text"))
    assert await shop.dataset_rows(DatasetRow.model) == [("tiny",)]


async def test_vectors_of_another_length_are_not_mixed_in(shop: Workshop) -> None:
    await dataset(shop)
    async with shop.working():
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text"))
        shop.models.dimensions = 8
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "b.txt", b"more"))
        await shop.idle()  # its chunks go after it has failed
    assert ended.state is DocumentState.FAILED
    assert "another embedding model" in (ended.error or "")
    assert await shop.texts(ready=False) == ["text"]


async def test_a_document_that_failed_leaves_nothing_though_this_process_does_not_have_it_any_more(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunks go after its row says that it failed; meanwhile the server finds that the row is not its own."""
    await dataset(shop)
    beat, clear = shop.claims.beat, shop.claims.clear
    beaten = asyncio.Semaphore(0)

    async def counted(*arguments: Any) -> Any:
        lost = await beat(*arguments)
        beaten.release()
        return lost

    async def late(*arguments: Any) -> None:
        while not beaten.locked():
            await beaten.acquire()
        for _ in range(2):
            await beaten.acquire()
        await clear(*arguments)

    async with shop.working():
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text"))
        monkeypatch.setattr(shop.claims, "beat", counted)
        monkeypatch.setattr(shop.claims, "clear", late)
        shop.models.dimensions = 8
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "b.txt", b"more"))
        await shop.idle()
    assert await shop.texts(ready=False) == ["text"]
    assert ("sagehold_documents_ended_total", {"state": "failed"}, 1.0) in shop.samples()


# ------------------------------------------------------------ what goes wrong


async def test_a_file_that_cant_be_read_fails_with_the_reason(shop: Workshop) -> None:
    await dataset(shop)
    async with shop.working():
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"bad"))
        assert (ended.state, ended.error, ended.attempts) == (DocumentState.FAILED, "It is bad.", 1)
        assert shop.files() != [], "it may be tried again"
        await shop.ended(await shop.ingestion.retry(ANNA, ended.id))
    with pytest.raises(NotFound):
        await shop.ingestion.retry(BERT, ended.id)


async def test_a_file_without_text_fails(shop: Workshop) -> None:
    await dataset(shop)
    async with shop.working():
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b" "))
    assert (ended.state, ended.error) == (DocumentState.FAILED, "There is no text in the document.")


@pytest.mark.parametrize("failure", [EngineFailed(), InsufficientCredits("no credits")])
async def test_what_may_pass_is_tried_again(shop: Workshop, failure: Exception) -> None:
    await dataset(shop)
    shop.models.failures = [failure, None]
    async with shop.working():
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text"))
        assert (ended.state, ended.attempts) == (DocumentState.READY, 2)
        shop.models.failures = [failure, failure, failure]
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "b.txt", b"more"))
    assert (ended.state, ended.attempts, ended.error) == (DocumentState.FAILED, 3, str(failure))
    assert await shop.texts(ready=False) == ["text"]


async def test_a_keys_limits_are_waited_for(shop: Workshop) -> None:
    await dataset(shop)
    shop.models.failures = [RateLimited(headers={"Retry-After": "0.1"}), None]
    async with shop.working():
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text"))
    assert (ended.state, ended.attempts) == (DocumentState.READY, 1)


async def test_a_key_that_was_revoked_pays_for_nothing_more(shop: Workshop) -> None:
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    del shop.payers.keys[ANNA.key_id]
    async with shop.working():
        ended = await shop.ended(document)
    assert ended.state is DocumentState.FAILED
    assert "not valid any more" in (ended.error or "")
    assert shop.models.asked == []


async def test_a_bug_is_told_in_general_words(shop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    await dataset(shop)
    shop.models.failures = [ValueError("/secret/path")]
    async with shop.working():
        ended = await shop.ended(await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text"))
    assert (ended.state, ended.error) == (DocumentState.FAILED, "The server failed to ingest the document.")
    assert "/secret/path" in caplog.text


async def test_a_file_that_is_gone_is_told(shop: Workshop) -> None:
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    [waiting] = await shop.waiting()
    claim = await shop.queue.claim(waiting)
    assert claim is not None
    (shop.settings.data_dir / "documents" / document.id).unlink()
    await shop.ingestion.background.ingest(shop.work(claim))
    ended = await shop.ended(document)
    assert (ended.state, "add it again" in (ended.error or "")) == (DocumentState.FAILED, True)
    with pytest.raises(Conflict):
        await shop.ingestion.retry(ANNA, document.id)


# ------------------------------------------------------------ cancelled, deleted, ended


async def test_cancelling_ends_the_reading_process(shop: Workshop) -> None:
    await dataset(shop)
    shop.reader.gate.clear()
    async with shop.working():
        document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
        await shop.reader.begun.wait()
        with pytest.raises(NotFound):
            await shop.ingestion.cancel(BERT, document.id)
        cancelled = await shop.ingestion.cancel(ANNA, document.id)
        assert cancelled.state is DocumentState.CANCELLED
        await shop.idle()
        assert shop.reader.ended == 1
        assert await shop.ingestion.cancel(ANNA, document.id) == cancelled, "once more changes nothing"
        shop.reader.gate.set()
        ended = await shop.ended(await shop.ingestion.retry(ANNA, document.id))
    assert ended.state is DocumentState.READY
    with pytest.raises(Conflict):
        await shop.ingestion.retry(ANNA, document.id)


async def test_cancelled_while_it_is_embedded_leaves_no_chunks(shop: Workshop) -> None:
    await dataset(shop)
    shop.models.gate.clear()
    async with shop.working():
        document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
        await shop.models.begun.wait()
        other = shop.another()  # as another process does it, which can't end the task
        await other.ingestion.cancel(ANNA, document.id)
        shop.models.gate.set()
        await shop.idle()
    assert await shop.texts(ready=False) == []
    assert (await shop.ended(document)).state is DocumentState.CANCELLED


async def test_deleted_meanwhile(shop: Workshop) -> None:
    await dataset(shop)
    await shop.datasets.create(ANNA, "second")
    shop.models.gate.clear()
    async with shop.working():
        for name, delete in (
            ("handbook", lambda: shop.documents.delete(ANNA, "handbook", "a.txt")),
            ("second", lambda: shop.datasets.delete(ANNA, "second")),
        ):
            shop.models.begun.clear()
            await shop.ingestion.add(ANNA, name, "a.txt", b"text")
            await shop.models.begun.wait()
            await delete()
            shop.models.gate.set()
            await shop.idle()
            shop.models.gate.clear()
        await shop.removal.finish()
        assert await shop.texts(ready=False) == []
        assert await shop.rows(DocumentRow.id) == []


async def test_a_server_that_ends_leaves_its_work_waiting(shop: Workshop) -> None:
    await dataset(shop)
    shop.models.gate.clear()
    async with shop.working():
        document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
        await shop.models.begun.wait()
    assert await shop.rows(DocumentRow.state, DocumentRow.attempts, DocumentRow.instance_id) == [("queued", 0, None)]
    assert shop.files() == [document.id]
    shop.models.gate.set()
    next_one = shop.another()
    async with next_one.working():
        assert (await next_one.ended(document)).state is DocumentState.READY
    # Told that the server stops, before its tasks end.
    shop.models.failures = [ServerStopping()]
    again = await shop.ingestion.add(ANNA, "handbook", "b.txt", b"more")
    [waiting] = await shop.waiting()
    claim = await shop.queue.claim(waiting)
    assert claim is not None
    await shop.ingestion.background.ingest(shop.work(claim))
    assert await shop.rows(DocumentRow.state, DocumentRow.attempts) == [("ready", 1), ("queued", 0)], again


async def test_what_a_dead_process_had_is_begun_anew(shop: Workshop) -> None:
    """Its lock is gone with it; its claim and its chunks are there."""
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    dead = shop.another()
    [waiting] = await dead.waiting()
    claim = await dead.queue.claim(waiting)
    assert claim is not None
    await dead.claims.embedding(claim, 2)
    await dead.store(claim, "of the dead")
    assert await shop.texts() == []
    async with shop.working():
        ended = await shop.ended(document)
    assert (ended.state, ended.attempts) == (DocumentState.READY, 2)
    assert await shop.texts(ready=False) == ["text"]


async def test_what_a_process_at_work_has_is_left_to_it(shop: Workshop) -> None:
    await dataset(shop)
    shop.models.gate.clear()
    async with shop.working():
        document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
        await shop.models.begun.wait()
        other = shop.another()
        async with other.working():
            second = await other.ingestion.add(ANNA, "handbook", "b.txt", b"more")
            assert (await other.ended(second)).state is DocumentState.READY
            assert [len(texts) for _, texts in other.models.asked] == [1]
        shop.models.gate.set()
        assert (await shop.ended(document)).attempts == 1


async def test_a_document_that_ends_servers_is_given_up(shop: Workshop) -> None:
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    for _ in range(3):
        dead = shop.another()
        [waiting] = await dead.waiting()
        assert await dead.queue.claim(waiting) is not None
    async with shop.working():
        ended = await shop.ended(document)
    assert ended.state is DocumentState.FAILED
    assert "begun 3 times" in (ended.error or "")
    assert shop.reader.names == []


async def test_only_one_of_two_takes_a_document(shop: Workshop) -> None:
    await dataset(shop)
    await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    one, other = shop.another(), shop.another()
    [waiting] = await one.waiting()
    assert await one.queue.claim(waiting) is not None
    assert await other.queue.claim(waiting) is None


async def test_a_process_that_was_given_up_writes_nothing_more(shop: Workshop) -> None:
    await dataset(shop)
    await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    slow, quick = shop.another(), shop.another()
    [waiting] = await slow.waiting()
    first = await slow.queue.claim(waiting)
    [waiting] = await quick.waiting()
    second = await quick.queue.claim(waiting)
    assert first is not None
    assert second is not None
    await quick.work(second).run()
    await slow.ingestion.background.ingest(slow.work(first))
    assert await shop.rows(DocumentRow.state, DocumentRow.attempts) == [("ready", 2)]
    assert await shop.texts(ready=False) == ["text"]
    assert await slow.claims.beat({first: (1, 1)}) == [first]


async def test_what_is_cleared_is_not_what_somebody_else_has_stored_since(shop: Workshop) -> None:
    """Put back by one process, and taken up by another before the first one's chunks are deleted."""
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    slow, quick = shop.another(), shop.another()
    first = await slow.queue.claim((await slow.waiting())[0])
    assert first is not None
    await slow.store(first, "of the first")
    clear = slow.claims.clear

    async def late(*arguments: Any) -> None:
        second = await quick.queue.claim((await quick.waiting())[0])
        assert second is not None
        await quick.store(second, "of the second")
        await clear(*arguments)
        await quick.claims.publish(second, chunks=1, tokens=1, model="tiny", dimensions=4)

    slow.claims.clear = late  # type: ignore[method-assign]
    await slow.claims.put_back(first, counts=False)
    assert await shop.texts() == ["of the second"], document


async def test_two_of_one_name_wait_for_each_other_without_end_never(shop: Workshop) -> None:
    """One stores chunks while the other, newer one becomes ready and takes it out of sight."""
    await dataset(shop)
    for text in (b"old", b"new"):
        await shop.ingestion.add(ANNA, "handbook", "a.txt", text)
    waiting = await shop.waiting()
    old, new = [await shop.queue.claim(one) for one in waiting]
    assert old is not None
    assert new is not None
    await shop.store(new, "new")
    locked, go_on = asyncio.Event(), asyncio.Event()
    add = shop.index.add

    async def slow(*arguments: Any) -> None:
        locked.set()  # the old one's row
        await go_on.wait()
        await add(*arguments)

    shop.index.add = slow  # type: ignore[method-assign]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(shop.store(old, "old"))
        await locked.wait()
        group.create_task(shop.claims.publish(new, chunks=1, tokens=1, model="tiny", dimensions=4))
        if not shop.database.sqlite:
            await shop.blocked(1)
        go_on.set()
    assert await shop.texts() == ["new"]


async def test_the_command_lines_documents_are_nobodys_bill(shop: Workshop) -> None:
    local = type(ANNA)(key_id="local", account_id=ANNA.account_id)
    await shop.datasets.create(local, "handbook")
    async with shop.working():
        await shop.ended(await shop.ingestion.add(local, "handbook", "a.txt", b"text"))
    [(payer, _)] = shop.models.asked
    assert (payer.key_id, payer.account_id, payer.metered) == ("local", ANNA.account_id, False)


# ------------------------------------------------------------ what a crash, a restore or a full house has left


async def test_a_document_whose_file_a_restore_has_not_brought_back_fails(shop: Workshop) -> None:
    """On SQLite at once; where other servers may have the file, once nobody has said so for an hour."""
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    begun = await shop.ingestion.add(ANNA, "handbook", "b.txt", b"text")
    claim = await shop.another().queue.claim((await shop.waiting())[1])
    assert claim is not None
    for one in (document, begun):
        (shop.settings.data_dir / "documents" / one.id).unlink()
    here = await shop.ingestion.add(ANNA, "handbook", "c.txt", b"text")
    async with shop.working():
        await shop.ended(here)
        if not shop.database.sqlite:
            assert (await shop.documents.find(ANNA, document.id)).state is DocumentState.QUEUED
    async with shop.database.write() as session:
        long_ago = utc_now() - timedelta(hours=2)
        which = DocumentRow.state != "ready"
        await session.execute(update(DocumentRow).where(which).values(seen_at=long_ago, updated_at=long_ago))
    async with shop.working():
        for one in (document, begun):
            ended = await shop.ended(one)
            assert (ended.state, "add it again" in (ended.error or "")) == (DocumentState.FAILED, True)
    with pytest.raises(Conflict):
        await shop.ingestion.retry(ANNA, document.id)


async def test_what_waits_on_another_server_is_not_lost(shop: Workshop, tmp_path: Path) -> None:
    """Its files lie in a folder of its own, and it says that they are there."""
    if shop.database.sqlite:
        pytest.skip("one folder for all")
    await dataset(shop)
    settings = shop.settings.model_copy(update={"data_dir": tmp_path / "other"})
    other = workshop(settings, shop.database, shop.reader)
    document = await other.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    async with shop.database.write() as session:
        await session.execute(update(DocumentRow).values(updated_at=utc_now() - timedelta(hours=2)))
    await other.queue.keep([document.id])
    async with shop.working():
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "b.txt", b"text"))
    assert (await shop.documents.find(ANNA, document.id)).state is DocumentState.QUEUED
    async with other.working():
        assert (await other.ended(document)).state is DocumentState.READY


async def test_files_and_chunks_that_are_nobodys_are_swept(shop: Workshop) -> None:
    await dataset(shop)
    document = await shop.ingestion.add(ANNA, "handbook", "a.txt", b"text")
    folder = shop.settings.data_dir / "documents"
    for name in ("doc_none", "doc_half.part", ".at-work-ing_dead"):
        (folder / name).write_bytes(b"left behind")
    (folder / f"{document.id}.part").write_bytes(b"half of it")
    claim = await shop.queue.claim((await shop.waiting())[0])
    assert claim is not None
    await shop.store(claim, "half")
    async with shop.database.write() as session:  # as if it had died between the two
        await session.execute(update(DocumentRow).values(state="failed", instance_id=None))
    async with shop.working(), asyncio.timeout(20):
        while shop.files() != [f".at-work-{shop.queue.instance_id}", document.id] or await shop.texts(ready=False):
            await asyncio.sleep(0.01)


async def test_an_account_has_room_for_so_much_that_waits(shop: Workshop) -> None:
    await dataset(shop)
    await shop.datasets.create(BERT, "letters")
    local = type(ANNA)(key_id="local", account_id=ANNA.account_id)
    shop.settings.__dict__.update(max_waiting_documents=3, max_waiting_bytes=100)
    for name in ("a.txt", "b.txt"):
        await shop.ingestion.add(ANNA, "handbook", name, b"x" * 40)
    with pytest.raises(RateLimited, match=r"100 bytes in all, and have 80") as refused:
        await shop.ingestion.add(ANNA, "handbook", "c.txt", b"x" * 40)
    assert refused.value.headers["Retry-After"] == "30"
    await shop.ingestion.add(ANNA, "handbook", "c.txt", b"x" * 20)
    with pytest.raises(RateLimited, match="3 documents of your account wait"):
        await shop.ingestion.add(ANNA, "handbook", "d.txt", b"x")
    assert len(shop.files()) == 3, "what is refused leaves nothing"
    await shop.ingestion.add(BERT, "letters", "d.txt", b"x" * 40)
    await shop.ingestion.add(local, "handbook", "e.txt", b"x" * 40)
    async with shop.working():
        for _, document in await shop.documents.list(ANNA):
            await shop.ended(document)
        await shop.ended(await shop.ingestion.add(ANNA, "handbook", "d.txt", b"x" * 40))
