"""What is kept of users: questions, token exchanges, chats; on both kinds of database."""

from collections.abc import Callable

import anyio
import pytest
from sqlalchemy import text

from server.accounts.keys.service import Accounts
from server.core import Caller
from server.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge
from server.knowledge import chats as chats_module
from server.knowledge import users as users_module
from server.knowledge.users import Users
from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def users(accounts: Accounts, clock: Clock) -> Users:
    return Users(accounts.database, keep_prompts=True, now=clock)


@pytest.fixture
async def ada(accounts: Accounts) -> Caller:
    return await _caller(accounts, "ada")


@pytest.fixture
async def bob(accounts: Accounts) -> Caller:
    return await _caller(accounts, "bob")


async def _caller(accounts: Accounts, name: str) -> Caller:
    await accounts.create_account(name)
    caller = await accounts.authenticate((await accounts.create_key(account=name)).key)
    assert caller is not None
    return caller


async def _ask(users: Users, caller: Caller, prompt: str = "hi", **more: str) -> str:
    return await users.asked(
        caller, ip="::1", model="m", prompt=prompt, completion="Hello", prompt_tokens=10, completion_tokens=2, **more
    )


# ---------------------------------------------------------------- questions


async def test_questions_are_listed_newest_first_to_who_asked(users: Users, ada: Caller, bob: Caller) -> None:
    first = await _ask(users, ada, "one")
    await _ask(users, bob, "not ada's")
    second = await _ask(users, ada, "two", uuid="0b6c1d1e-1111-4222-8333-444455556666")
    assert second == "0b6c1d1e-1111-4222-8333-444455556666"
    newest, oldest = await users.prompts(ada)
    assert (newest.prompt, newest.uuid, oldest.prompt, oldest.uuid) == ("two", second, "one", first)
    assert (newest.completion, newest.model, newest.ip) == ("Hello", "m", "::1")
    assert (newest.prompt_tokens, newest.completion_tokens, newest.total_tokens, newest.teach) == (10, 2, 12, 0)
    assert await users.prompts(ada, 1) == [newest]
    assert await users.prompts(ada, 1, before=newest.id) == [oldest]
    assert await users.prompts(ada, before=oldest.id) == []


async def test_texts_are_kept_only_where_they_shall_be(accounts: Accounts, ada: Caller) -> None:
    users = Users(accounts.database)
    await _ask(users, ada, "secret")
    [kept] = await users.prompts(ada)
    assert (kept.prompt, kept.completion, kept.prompt_tokens) == ("", "", 10)
    async with accounts.database.read() as session:
        assert (await session.execute(text("SELECT prompt, completion FROM prompt_log"))).all() == [("", "")]


async def test_any_text_can_be_kept_and_of_a_long_one_its_beginning(users: Users, ada: Caller) -> None:
    await _ask(users, ada, "a\0b\ud800c")
    await _ask(users, ada, "x" * (users_module.LONGEST_TEXT + 1))
    long, odd = await users.prompts(ada)
    assert odd.prompt == "a\ufffdb?c"
    assert long.prompt == "x" * users_module.LONGEST_TEXT


async def test_the_oldest_questions_of_an_account_go(
    users: Users, ada: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_module, "KEPT", 3)
    await _ask(users, bob, "bob's")
    for number in range(5):
        await _ask(users, ada, str(number))
    assert [prompt.prompt for prompt in await users.prompts(ada)] == ["4", "3", "2"]
    assert [prompt.prompt for prompt in await users.prompts(bob)] == ["bob's"]


async def test_nothing_is_noted_of_who_has_no_account(users: Users, accounts: Accounts) -> None:
    nobody = Caller(key_id="none", account_id="none")
    assert await _ask(users, nobody)
    await users.logged_in("acct_gone", "::1", succeeded=False)
    async with accounts.database.read() as session:
        assert (await session.execute(text("SELECT * FROM prompt_log"))).all() == []
        assert (await session.execute(text("SELECT * FROM logins"))).all() == []


async def test_an_answer_does_not_fail_with_the_log(users: Users, accounts: Accounts, ada: Caller) -> None:
    async with accounts.database.write() as session:
        await session.execute(text("DROP TABLE prompt_log"))
        await session.execute(text("DROP TABLE logins"))
    assert await _ask(users, ada)
    await users.logged_in(ada.account_id, "::1", succeeded=True)


async def test_an_answer_is_voted_down_by_who_got_it(
    users: Users, accounts: Accounts, ada: Caller, bob: Caller
) -> None:
    uuid = await _ask(users, ada)
    for caller, of in ((bob, uuid), (ada, "0b6c1d1e-1111-4222-8333-444455556666"), (ada, "\0"), (ada, "")):
        with pytest.raises(NotFound) as refused:
            await users.vote_down(caller, of)
        assert refused.value.message == "There is no answer with this uuid."
    assert [prompt.downvoted for prompt in await users.prompts(ada)] == [False]
    await users.vote_down(ada, uuid.upper())
    await users.vote_down(ada, uuid)
    assert [prompt.downvoted for prompt in await users.prompts(ada)] == [True]


async def test_token_exchanges(
    users: Users, ada: Caller, bob: Caller, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_module, "KEPT", 2)
    for succeeded in (True, True, False):
        await users.logged_in(ada.account_id, "192.0.2.1", succeeded)
        clock.forward(seconds=1)
    await users.logged_in(bob.account_id, None, succeeded=True)
    newest, oldest = await users.logins(ada)
    assert (newest.succeeded, oldest.succeeded, newest.ip) == (False, True, "192.0.2.1")
    assert (newest.at - oldest.at).total_seconds() == 1
    assert await users.logins(ada, 1) == [newest]
    assert [login.ip for login in await users.logins(bob)] == [""]


# ---------------------------------------------------------------- chats


async def test_a_chat_is_made_read_changed_and_deleted(users: Users, ada: Caller, clock: Clock) -> None:
    chats = users.chats
    made = await chats.create(ada)
    assert (made.title, made.content, made.created_at) == ("New Chat", [], clock())
    clock.forward(seconds=1)
    odd = {"user": "me", "message": "a\0\ud800é", "more": [1, None, 2.5]}
    for more, content in (([odd], [odd]), ([], [odd]), (["x"], [odd, "x"])):
        await chats.append(ada, made.id.upper(), more)
        assert (await chats.find(ada, made.id)).content == content
    found = await chats.find(ada, made.id)
    assert (found.content, found.updated_at) == ([odd, "x"], clock())
    await chats.retitle(ada, made.id, " Émile ")
    assert (await chats.find(ada, made.id)).title == "Émile"
    await chats.replace(ada, made.id, "", [])
    assert (await chats.find(ada, made.id)) == (found := await chats.find(ada, made.id))
    assert (found.title, found.content) == ("New Chat", [])
    await chats.delete(ada, made.id)
    assert await chats.list(ada) == []


async def test_appending_by_title_finds_the_chat_or_makes_it(users: Users, ada: Caller, clock: Clock) -> None:
    chats = users.chats
    first = await chats.append_to_title(ada, "plans", [{"a": 1}])
    assert (await chats.append_to_title(ada, "plans", [{"b": 2}])).id == first.id
    assert (await chats.find(ada, first.id)).content == [{"a": 1}, {"b": 2}]
    clock.forward(seconds=1)
    newer = await chats.create(ada, "plans")
    assert (await chats.append_to_title(ada, "plans", ["x"])).id == newer.id, "the newest of that title"
    assert [chat.id for chat in await chats.list(ada)] == [newer.id, first.id]
    assert [chat.content for chat in await chats.list(ada)] == [None, None]


async def test_a_chat_is_its_accounts_alone(users: Users, ada: Caller, bob: Caller) -> None:
    chats = users.chats
    made = await chats.create(ada, "secret", ["x"])
    assert await chats.list(bob) == []
    said = set()
    for chat_id in (made.id, "0b6c1d1e-1111-4222-8333-444455556666", "no uuid", "\0"):
        for act in (
            chats.find(bob, chat_id),
            chats.append(bob, chat_id, ["y"]),
            chats.retitle(bob, chat_id, "mine"),
            chats.replace(bob, chat_id, "mine", []),
            chats.copy(bob, chat_id, bob.account_id),
            chats.delete(bob, chat_id),
        ):
            with pytest.raises(NotFound) as refused:
                await act
            said.add((refused.value.message, refused.value.param, refused.value.code))
    assert len(said) == 1, "somebody else's looks like none"
    assert await chats.find(ada, made.id) == made


async def test_a_copy_is_the_other_accounts_own(users: Users, ada: Caller, bob: Caller) -> None:
    chats = users.chats
    made = await chats.create(ada, "plans", ["x"])
    await chats.copy(ada, made.id, bob.account_id)
    [copied] = await chats.list(bob)
    await chats.append(bob, copied.id, ["y"])
    assert (await chats.find(bob, copied.id)).content == ["x", "y"]
    assert (await chats.find(ada, made.id)).content == ["x"]


async def test_nobody_fills_anothers_chats(
    users: Users, ada: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats_module, "MOST_CHATS", 4)
    monkeypatch.setattr(chats_module, "MOST_COPIED", 2)
    made = await users.chats.create(ada, content=["x"])
    for _ in range(2):
        await users.chats.copy(ada, made.id, bob.account_id)
    with pytest.raises(Conflict):
        await users.chats.copy(ada, made.id, bob.account_id)
    for _ in range(2):
        own = await users.chats.create(bob)
    with pytest.raises(Conflict):
        await users.chats.create(bob)
    await users.chats.delete(bob, own.id)
    await users.chats.copy(bob, (await users.chats.list(bob))[0].id, bob.account_id)


async def test_chats_are_bounded_in_number_and_size(
    users: Users, ada: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats_module, "MOST_CHATS", 2)
    monkeypatch.setattr(chats_module, "MOST_CONTENT", 20)
    chats = users.chats
    made = await chats.create(ada, content=["1234567"])
    with pytest.raises(PayloadTooLarge):
        await chats.append(ada, made.id, ["1234567"])
    with pytest.raises(PayloadTooLarge):
        await chats.replace(ada, made.id, "t", ["é" * 4])
    with pytest.raises(PayloadTooLarge):
        await chats.create(ada, content=["x" * 20])
    for title in ("t" * 256, "a\0b", "a\nb"):
        with pytest.raises(InvalidRequest) as refused:
            await chats.create(ada, title)
        assert refused.value.param == "title"
    await chats.create(ada, "t" * 255)
    for act in (chats.create(ada), chats.append_to_title(ada, "another", []), chats.copy(ada, made.id, ada.account_id)):
        with pytest.raises(Conflict):
            await act
    assert (await chats.find(ada, made.id)).content == ["1234567"]
    await chats.create(bob)
    await chats.copy(ada, made.id, bob.account_id)
    assert len(await chats.list(bob)) == 2


async def test_appends_at_once_lose_nothing(users: Users, ada: Caller) -> None:
    made = await users.chats.create(ada)
    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(users.chats.append, ada, made.id, [number])
            group.start_soon(users.chats.append_to_title, ada, "new", [number])
    content = (await users.chats.find(ada, made.id)).content
    assert content is not None
    assert sorted(content) == list(range(8))
    assert len(await users.chats.list(ada)) == 2


async def test_chats_outlive_the_server(
    users: Users, ada: Caller, make_settings: Callable[..., object], clock: Clock
) -> None:
    made = await users.chats.create(ada, "kept", ["x"])
    async with await Accounts.open(make_settings(), now=clock) as other:  # type: ignore[arg-type]
        assert await Users(other.database, now=clock).chats.find(ada, made.id) == made
