"""What is encrypted can't be read by others, nor put in another's place; what is not stays readable."""

import base64
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from server.errors import InvalidRequest
from server.jobs.responses.responses import Responses
from server.jobs.responses.sealing import AES_256_GCM, PLAIN, Sealing, Unreadable
from server.jobs.tables import ConversationItemRow, ResponseRow
from server.storage.database import Database
from tests.jobs.conftest import OTHER, OWNER
from tests.jobs.responses.conftest import Make, message, texts, turn

pytestmark = pytest.mark.anyio
ME = OWNER.account_id
SECRET, ANOTHER = b"1" * 32, b"2" * 32


@given(st.binary())
def test_bytes_come_back(data: bytes) -> None:
    for encrypt, mark in ((True, AES_256_GCM), (False, PLAIN)):
        stored = Sealing(SECRET, encrypt=encrypt).pack("row", data)
        assert stored[:1] == mark
        assert Sealing(SECRET, encrypt=not encrypt).unpack("row", stored) == data


def test_a_value_is_read_by_its_own_secret_in_its_own_place_alone() -> None:
    sealing = Sealing(SECRET, encrypt=True)
    stored = sealing.pack("row", b"words")
    assert b"words" not in stored
    assert sealing.pack("row", b"words") != stored
    flipped = bytes((*stored[:-1], stored[-1] ^ 1))
    for reader, whose, value in (
        (Sealing(ANOTHER, encrypt=True), "row", stored),
        (sealing, "another row", stored),
        (sealing, "row", flipped),
        (sealing, "row", stored[:12]),
        (sealing, "row", b""),
        (sealing, "row", b"\x02" + stored[1:]),
    ):
        with pytest.raises(Unreadable):
            reader.unpack(whose, value)


def test_texts_that_clients_keep_are_always_encrypted_and_for_one_account() -> None:
    sealing = Sealing(SECRET, encrypt=False)
    sealed = sealing.seal_text(ME, "thoughts")
    assert b"thoughts" not in base64.b64decode(sealed)
    assert sealing.open_text(ME, sealed, "input[0]") == "thoughts"
    foreign = Sealing(ANOTHER, encrypt=False).seal_text(ME, "thoughts")
    for account, text in ((OTHER.account_id, sealed), (ME, foreign), (ME, sealed[4:]), (ME, "é!"), (ME, "")):
        with pytest.raises(InvalidRequest, match=r"'input\[0\]\.encrypted_content' was not made") as refused:
            sealing.open_text(account, text, "input[0].encrypted_content")
        assert refused.value.param == "input[0].encrypted_content"


async def test_nothing_of_a_sealed_response_or_conversation_lies_open(make: Make, database: Database) -> None:
    responses = make(encrypt_responses=True)
    talk = await responses.conversations.create(ME, {}, [message("whisper")])
    kept = turn(ME, "whisper", "whisper", conversation_id=talk.id)
    await responses.store.keep(kept)
    async with database.read() as session:
        rows = [value for row in await session.execute(select(ResponseRow.body, ResponseRow.items)) for value in row]
        rows += await session.scalars(select(ConversationItemRow.item))
    assert len(rows) == 5
    assert [row for row in rows if b"whisper" in row] == []
    assert (await responses.store.find(ME, kept.id)).response == kept.response
    assert texts(await responses.conversations.history(ME, talk.id)) == ["whisper"] * 3


async def test_the_setting_may_change_in_the_middle_of_a_chain(make: Make) -> None:
    previous: str | None = None
    for place, encrypt in enumerate((True, False, True)):
        responses = make(encrypt_responses=encrypt)
        kept = turn(ME, f"q{place}", f"a{place}", previous_id=previous)
        await responses.store.keep(kept)
        previous = kept.id
    for encrypt in (True, False):
        assert previous is not None
        history = await make(encrypt_responses=encrypt).chain.history(ME, previous)
        assert texts(history.items) == ["q0", "a0", "q1", "a1", "q2", "a2"]


async def test_another_secret_is_told_in_words(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    kept = turn(ME, "q", "a")
    await make(encrypt_responses=True).store.keep(kept)
    later = make(secret=ANOTHER, encrypt_responses=True)
    with caplog.at_level(logging.ERROR), pytest.raises(InvalidRequest, match="can't be read any more: it was encr"):
        await later.store.find(ME, kept.id)
    assert kept.id in caplog.text
    assert "keys.secret" in caplog.text
    with pytest.raises(InvalidRequest, match="can't be read any more") as refused:
        await later.chain.history(ME, kept.id)
    assert refused.value.param == "previous_response_id"
    await later.store.delete(ME, kept.id)


async def test_a_sealed_row_can_not_be_put_in_anothers_place(
    responses: Responses, make: Make, database: Database
) -> None:
    sealed = make(encrypt_responses=True)
    own, foreign = turn(ME, "q", "a"), turn(OTHER.account_id, "q", "secret")
    for each in (own, foreign):
        await sealed.store.keep(each)
    async with database.write() as session:
        body = await session.scalar(select(ResponseRow.body).where(ResponseRow.id == foreign.id))
        await session.execute(update(ResponseRow).where(ResponseRow.id == own.id).values(body=body))
    with pytest.raises(InvalidRequest, match="can't be read"):
        await responses.store.find(ME, own.id)
