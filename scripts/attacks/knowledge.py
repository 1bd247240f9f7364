"""Another account's datasets, documents, chats, answers and keys, by every route: what is there looks like what is not.

Ada has something of each; Eve asks for it by all names that it could have, and for what does not exist by names as
long. Both answers must be the same bytes but for the name that Eve gave herself.
"""

import json
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from scripts.attacks.row import Row
from scripts.attacks.target import FAKE, served
from server.accounts.administration import Administration
from server.settings import Settings

MARK = "4711-raven"
"""In all that Ada has, and in nothing else."""
SHORT, ABSENT = "secret-plans", "ferret-plans"
"""A dataset's name, and one as long that no dataset has, with its e in the same places."""
NO_UUID = "0b6c1d1e-1111-4222-8333-444455556666"
OWN_HEADERS = frozenset({"date", "x-request-id", "x-sagehold-time-ms", "openai-processing-ms"})
"""They differ from answer to answer."""
MAIL = "eve@example.org"

DATASET: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("POST", "/user/delete-dataset", {}),
    ("POST", "/user/delete-datasets", {}),
    ("DELETE", "/server/dataset", {}),
    ("POST", "/user/assign-dataset", {"email": MAIL}),
    ("POST", "/user/assign-dataset", {"email": "nobody@example.org"}),
    ("POST", "/user/deassign-dataset", {"email": MAIL}),
    ("POST", "/user/update-permission-dataset", {"email": MAIL, "permissions": "admin"}),
    ("POST", "/user/get-dataset-permissions", {}),
    ("POST", "/user/get-dataset-assignments", {}),
    ("POST", "/server/get-dataset-info", {}),
    ("GET", "/server/get-all-files-ingested", {}),
    ("POST", "/server/get-all-files-ingested", {}),
    ("GET", "/server/delete-filename-from-dataset", {"filename": "raven.txt"}),
    ("POST", "/server/delete-filename-from-dataset", {"filename": "raven.txt"}),
    ("POST", "/server/delete-filename-from-dataset", {"filename": "absent.txt"}),
    ("POST", "/server/train-with-array", {"data": ["x"]}),
    ("GET", "/server/train-with-array", {"data": "x"}),
    ("POST", "/server/query", {"message": "raven"}),
    ("POST", "/server/query", {"message": "raven", "limit_references": 0}),
    ("POST", "/server/query", {"message": "raven", "live": 1}),
    ("POST", "/server/query", {"message": "raven", "streaming": True}),
    ("POST", "/server/query_with_file", {"message": "raven"}),
    ("POST", "/server/query_stream", {"message": "raven"}),
    ("POST", "/server/follow-up-questions", {"message": "raven", "limit_references": 5}),
    ("GET", "/server/follow_up_questions", {"message": "raven", "limit_references": 5}),
    ("POST", "/server/execute-plugin", {"plugin_name": "summarize", "plugin_values": {"text": "raven"}}),
    ("POST", "/server/execute-plugin-with-file", {"plugin_name": "summarize", "plugin_values": {"text": "raven"}}),
    ("POST", "/server/query-plugin", {"plugin_tag": "summarize", "params": {"text": "raven"}}),
)
"""Method, path and the fields beside `dataset`."""
FILE: Mapping[str, Any] = {"files": {"file": ("raven.txt", b"x")}}
BY_PATH: Sequence[tuple[str, str, str, Mapping[str, Any]]] = (
    ("a dataset", "GET", "/v1/datasets/{dataset_id}", {}),
    ("a dataset", "DELETE", "/v1/datasets/{dataset_id}", {}),
    ("a dataset", "GET", "/v1/datasets/{dataset_id}/documents", {}),
    ("a dataset", "GET", "/v1/datasets/{dataset_id}/documents", {"params": {"state": "ready", "limit": 1}}),
    ("a dataset", "POST", "/v1/datasets/{dataset_id}/documents", FILE),
    ("a document", "GET", "/v1/documents/{document_id}", {}),
    ("a document", "DELETE", "/v1/documents/{document_id}", {}),
    ("a document", "PATCH", "/v1/documents/{document_id}", {"json": {"state": "cancelled"}}),
    ("a document", "PATCH", "/v1/documents/{document_id}", {"json": {"state": "queued"}}),
    ("a document", "GET", "/v1/documents/{document_id}/passages", {}),
    ("a document", "GET", "/v1/documents/{document_id}/passages", {"params": {"around": 0, "limit": 1}}),
)
"""What it is, method, path that names it, and the rest of the request."""
CHAT: Sequence[tuple[str, str, str, Mapping[str, Any]]] = (
    ("POST", "/user/get-chat-session", "session_id", {}),
    ("GET", "/user/get-chat-session", "session_id", {}),
    ("POST", "/user/delete-chat-session", "session_id", {}),
    ("POST", "/user/append-chat", "session_id", {"message": "y"}),
    ("POST", "/user/update-chat-session-title", "session_id", {"new_title": "mine"}),
    ("POST", "/user/update-chat-session-json", "session_id", {"json_data": []}),
    ("POST", "/user/copy-chat", "chat_id", {"email": MAIL}),
    ("POST", "/user/copy-chat", "chat_id", {"email": "nobody@example.org"}),
)
SEVERAL: Sequence[str] = ("/server/query", "/server/query_stream", "/server/follow-up-questions")
"""Routes whose `dataset` may be several."""
LISTS: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("GET", "/v1/datasets", {}),
    ("POST", "/server/get-datasets", {}),
    ("GET", "/server/get-datasets", {}),
    ("POST", "/user/get-datasets-with-permissions", {"check_permissions": False}),
    ("POST", "/server/get-all-files-ingested", {}),
    ("POST", "/user/get-user-logs", {"limit": 100}),
    ("POST", "/user/get-user-logs", {"limit": 100, "before_id": 2**62}),
    ("POST", "/user/get-user-logins", {"limit": 100}),
    ("POST", "/user/get-chats", {}),
    ("POST", "/user/get-user-api-keys", {}),
    ("POST", "/server/count-monthly-tokens", {}),
    ("POST", "/server/count-monthly-teach-tokens", {}),
    ("POST", "/server/query", {"message": "Where does the raven keep the code?"}),
    ("POST", "/server/query", {"message": "raven", "dataset": ["all", "none"], "limit_references": 50}),
    ("POST", "/server/query_stream", {"message": "raven", "dataset": "all"}),
    ("POST", "/server/get-personas", {}),
    ("POST", "/server/get-models", {"format": "full"}),
    ("GET", "/metrics", {}),
)
"""What shows several things at once, and must show nothing of Ada's."""
OTHERS = frozenset(
    {
        "/server/get-models", "/server/get-plugins", "/server/tokenizer", "/server/get-text-to-speech",
        "/server/get-personas", "/server/file", "/server/train-with-file", "/server/train", "/server/vote-down",
        "/server/count-monthly-tokens-left-with-org", "/user/get-token-with-api-key", "/user/add-dataset",
        "/user/create-chat-session", "/user/user-api-key", "/user/admin-get-all-users-with-tokens",
        "/user/admin-update-user-tokens", "/user/admin-update-user-train-tokens",
    }
)  # fmt: skip
"""Routes that name nobody's things; or that are tried by hand below, or need a key with the scope `admin`."""


def routes() -> set[str]:
    """All that are tried here, or need not be."""
    named = {path for _, path, _, _ in CHAT} | {path for _, _, path, _ in BY_PATH}
    return {path for _, path, _ in (*DATASET, *LISTS)} | named | OTHERS


@dataclass(frozen=True, slots=True)
class Hers:
    """What Ada has, by all that it could be called."""

    full: str
    document: Mapping[str, Any]
    dataset_id: str
    chat: str
    answer: str
    key: Mapping[str, Any]

    def ids(self) -> Iterator[tuple[str, str]]:
        """Of her dataset and of her document, and as long ones of none."""
        yield self.dataset_id, f"ds_{'0' * (len(self.dataset_id) - 3)}"
        yield str(self.document["id"]), f"doc_{'0' * (len(self.document['id']) - 4)}"

    def names(self) -> Iterator[tuple[str, str]]:
        """What her dataset could be called, and as long a name for none."""
        for name, other in ((SHORT, ABSENT), (self.full, self.full.replace(SHORT, ABSENT))):
            yield name, other
            yield name.upper(), other.upper()
            yield name.title(), other.title()
            yield f"{name} ", f"{other} "
            yield f" {name}", f" {other}"
            yield f"{name}\u200b", f"{other}\u200b"
            yield name.replace("e", "e\u0301"), other.replace("e", "e\u0301")
            wide = {ord(letter): chr(ord(letter) + 0xFEE0) for letter in "abcdefghijklmnopqrstuvwxyz-"}
            yield name.translate(wide), other.translate(wide)
            yield unicodedata.normalize("NFKC", name.translate(wide)), other
            yield f"{name}%", f"{other}%"
            yield f"{name[:-1]}_", f"{other[:-1]}_"
            yield f"{name}' OR '1'='1", f"{other}' OR '1'='1"
        content = self.full.replace("user_custom", "user_content")
        yield content, content.replace(SHORT, ABSENT)
        yield self.full.replace("custom_", "custom_0"), self.full.replace("custom_", "custom_0").replace(SHORT, ABSENT)
        for one, none in self.ids():
            yield one, none
            yield f" {one}", f" {none}"
        yield "1", "9"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two requests that must be answered alike. name, other: what is put into each, into the path too where it has a
    place for it.
    """

    what: str
    method: str
    path: str
    name: str
    other: str
    first: Mapping[str, Any]
    second: Mapping[str, Any]

    def url(self, name: str) -> str:
        return re.sub(r"\{\w+\}", lambda _: quote(name, safe=""), self.path)


def pairs(hers: Hers, *, few: bool = False) -> Iterator[Pair]:
    """All that is asked for in twos, as keyword arguments of httpx. few: each by one name, and in one encoding."""
    for name, other in islice(hers.names(), 1) if few else hers.names():
        for method, path, more in DATASET:
            yield _pair("a dataset", method, path, "dataset", name, other, more)
            if method == "POST" and name in (SHORT, hers.full) and not few:
                yield _pair("a dataset", method, path, "dataset", name, other, more, how="form")
                yield _pair("a dataset", method, path, "dataset", name, other, more, how="parts")
        for path in SEVERAL[: 1 if few else None]:
            for form in ("[{}]", "all,{}", "{},none", "{},all", '["all", "{}"]'):
                yield _pair("datasets", "POST", path, "dataset", name, other, {"message": "raven"}, form=form)
            for several in (("all", "{}"), ("{}", "all"), ("none", "{}"), ("{}", "{}")):
                first, second = ([one.replace("{}", each) for one in several] for each in (name, other))
                body = {"message": "raven"}
                yield Pair(
                    "datasets", "POST", path, name, other,
                    {"json": {**body, "dataset": first}}, {"json": {**body, "dataset": second}},
                )  # fmt: skip
        yield _pair("a dataset", "POST", "/server/train", "force_dataset", name, other, {"content": "x"})
        skipped = {"content": "x", "skip_vectordb": True}
        yield _pair("a dataset", "POST", "/server/train", "force_dataset", name, other, skipped)
        yield Pair(
            "a dataset", "POST", "/server/train-with-file", name, other,
            {"data": {"dataset": name}, **FILE}, {"data": {"dataset": other}, **FILE},
        )  # fmt: skip
    loud = ((one.upper(), none.upper()) for one, none in hers.ids())
    for name, other in hers.ids() if few else (*loud, *hers.names()):
        for what, method, path, more in BY_PATH:
            yield Pair(what, method, path, name, other, more, more)
    for chat, none in ((hers.chat, NO_UUID), (hers.chat.upper(), NO_UUID.upper())):
        for method, path, name_field, more in CHAT:
            yield _pair("a chat", method, path, name_field, chat, none, more)
    for method in ("GET", "POST"):
        yield _pair("an answer", method, "/server/vote-down", "uuid", hers.answer, NO_UUID, {})
    yield _pair("an answer", "POST", "/server/vote-down", "uuid", hers.answer.upper(), NO_UUID.upper(), {})
    key = hers.key
    numbers: Sequence[tuple[str | int, str | int]] = (
        (key["id"], int(str(key["id"]).translate(str.maketrans("0123456789", "1234567891")))),
        (key["key_id"], f"key_{'0' * (len(key['key_id']) - 4)}"),
        (key["prefix"], "sk-sage-" + "0" * (len(key["prefix"]) - 8)),
    )
    for number, free in numbers:
        yield _pair("a key", "DELETE", "/user/user-api-key", "id", number, free, {})


def _pair(
    what: str,
    method: str,
    path: str,
    named: str,
    name: Any,
    other: Any,
    more: Mapping[str, Any],
    *,
    how: str = "json",
    form: str = "{}",
) -> Pair:
    def sent(value: Any) -> Mapping[str, Any]:
        value = form.replace("{}", value) if isinstance(value, str) else value
        fields = {**more, named: value}
        if method == "GET":
            return {"params": fields}
        if how == "json":
            return {"json": fields}
        texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in fields.items()}
        if how == "form":
            return {"data": texts}
        return {"files": {key: (None, one) for key, one in texts.items()}}

    return Pair(what, method, path, str(name), str(other), sent(name), sent(other))


def seen(answer: httpx.Response, name: str) -> tuple[Any, ...]:
    """What an answer shows, without the name that was asked for."""
    headers = sorted((key, value) for key, value in answer.headers.items() if key not in OWN_HEADERS)
    return answer.status_code, answer.content.replace(name.strip().encode(), b"*"), tuple(headers)


def refused(answer: httpx.Response) -> bool:
    """Whether an answer says so, by whichever status."""
    if answer.status_code >= 400:
        return True
    try:
        return int(answer.json()["status"]) >= 400
    except (ValueError, KeyError, TypeError):
        return False


async def differences(
    eve: httpx.AsyncClient, hers: Hers, *, few: bool = False, work: Callable[[], Any] = lambda: None
) -> tuple[int, list[str]]:
    """How many pairs were asked for, and in what answers were not alike, or no refusal. work: what the server did since
    it was asked last, which must be alike too."""
    wrong: list[str] = []
    todo = list(pairs(hers, few=few))
    for pair in todo:
        work()
        first = await eve.request(pair.method, pair.url(pair.name), **pair.first)
        first_work = work()
        second = await eve.request(pair.method, pair.url(pair.other), **pair.second)
        second_work = work()
        told = f"{pair.method} {pair.path} by {pair.name!r}"
        if seen(first, pair.name) != seen(second, pair.other):
            wrong.append(f"{told}: {first.text[:150]!r} where there is none: {second.text[:150]!r}")
        elif first_work != second_work:
            wrong.append(f"{told}: {first_work} where there is none: {second_work}")
        elif not refused(first) or MARK in first.text:
            wrong.append(f"{told}: {first.text[:200]!r}")
    return len(todo), wrong


async def shown(eve: httpx.AsyncClient, hers: Hers) -> list[str]:
    """Lists in which there is something of Ada's."""
    told = []
    for method, path, fields in LISTS:
        sent: Mapping[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        answer = await eve.request(method, path, **sent)
        secrets = (MARK, SHORT, hers.chat, hers.answer, hers.key["key_id"], str(hers.document["id"]))
        told += [f"{method} {path} shows {secret}" for secret in secrets if secret in answer.text]
    return told


async def hers_of(ada: httpx.AsyncClient) -> Hers:
    """Give Ada something of each."""

    async def said(path: str, body: Mapping[str, Any]) -> Any:
        answer = await ada.post(path, json=body)
        assert answer.json()["status"] == 200, answer.text
        return answer.json()["response"]

    await said("/user/add-dataset", {"dataset": SHORT})
    trained = await ada.post(
        "/server/train-with-file",
        data={"dataset": SHORT, "context": MARK},
        files={"file": ("raven.txt", f"The raven keeps the code {MARK}.".encode())},
    )
    assert trained.json()["status"] == 200, trained.text
    chat = await said("/user/append-chat", {"chat_title": MARK, "chats": [MARK]})
    asked = (await ada.post("/server/query", json={"message": f"Is it {MARK}?", "dataset": SHORT})).json()
    assert MARK in asked["references"], asked
    info = await said("/server/get-dataset-info", {"dataset": SHORT})
    [document] = await said("/server/get-all-files-ingested", {})
    keys = await said("/user/get-user-api-keys", {})
    return Hers(info["name"], document, info["id"], chat, asked["uuid"], keys[0])


async def state(ada: httpx.AsyncClient, hers: Hers) -> list[Any]:
    """What Ada has, as she sees it."""
    found = []
    for path, body in (
        ("/user/get-datasets-with-permissions", {}),
        ("/server/get-all-files-ingested", {}),
        ("/user/get-dataset-permissions", {"dataset": SHORT}),
        ("/user/get-chat-session", {"session_id": hers.chat}),
        ("/user/get-user-logs", {}),
        ("/user/get-user-api-keys", {}),
    ):
        found.append((await ada.post(path, json=body)).json())
    return found


async def _keys(settings: Settings) -> dict[str, str]:
    """A key of an account for each of the two."""
    async with Administration.open(settings) as administration:
        accounts, keys = administration.accounts, {}
        for name in ("ada", "eve"):
            await accounts.create_account(name, metered=False, email=f"{name}@example.org")
            keys[name] = (await accounts.create_key(account=name)).key
        return keys


async def _alike(ada: httpx.AsyncClient, eve: httpx.AsyncClient) -> AsyncIterator[Row]:
    hers = await hers_of(ada)
    before = await state(ada, hers)
    count, wrong = await differences(eve, hers)
    first = f": {wrong[0]}" if wrong else ""
    yield Row(
        "another account's things, by every route and name",
        f"{count:,} pairs of requests, {len(wrong)} answered otherwise than for what is not there{first}"[:500],
        "the same bytes",
        not wrong,
    )
    told = await shown(eve, hers)
    yield Row(
        "another account's things in lists and answers",
        f"{len(LISTS)} lists, {len(told)} show something{': ' + told[0] if told else ''}",
        "nothing is shown",
        not told,
    )
    same = await state(ada, hers) == before
    yield Row(
        "what all that changed", "nothing" if same else "something of another's is changed", "nothing is changed", same
    )


async def _unmoved(ada: httpx.AsyncClient, eve: httpx.AsyncClient, documents: int) -> Row:
    """Eve's own search, before and after Ada adds much with the same words."""
    name = f"own-{uuid4().hex[:8]}"
    await eve.post("/user/add-dataset", json={"dataset": name})
    texts = ["the raven flies", "a raven and a crow", "bread and water", "water"]
    for number, text in enumerate(texts):
        body = {"dataset": name, "data": [text], "filename": f"{number}.txt"}
        (await eve.post("/server/train-with-array", json=body)).raise_for_status()
    ask = {"message": "raven water", "dataset": name, "limit_references": 10}
    before = (await eve.post("/server/query", json=ask)).json()
    for number in range(documents):
        body = {"dataset": SHORT, "data": ["raven water " * 20] * 20, "filename": f"much {number}.txt"}
        (await ada.post("/server/train-with-array", json=body)).raise_for_status()
    after = (await eve.post("/server/query", json=ask)).json()
    same = before["references"] == after["references"] != ""
    return Row(
        "the order of one's own passages, while another account adds the same words",
        f"{documents} documents of 20 texts added: {'the same' if same else 'another'} order",
        "the same order",
        same,
    )


async def _rights(ada: httpx.AsyncClient, eve: httpx.AsyncClient) -> Row:
    """Read, edit, admin, and none at all, by a key and by a token."""
    key = eve.headers["authorization"].removeprefix("Bearer ")
    exchanged = await eve.post("/user/get-token-with-api-key", json={"email": MAIL, "api_key": key})
    token = {"x-access-tokens": exchanged.json()["response"]["access_token"], "authorization": ""}
    full = (await ada.post("/server/get-dataset-info", json={"dataset": SHORT})).json()["response"]["name"]
    wrong = []

    async def status(path: str, more: Mapping[str, Any], headers: Mapping[str, str]) -> int:
        answer = await eve.post(path, json={"dataset": full, **more}, headers=dict(headers))
        return int(answer.json()["status"])

    wanted = {"read": (200, 403, 403), "edit": (200, 200, 403), "admin": (200, 200, 200), "none": (404, 404, 404)}
    for permission, statuses in wanted.items():
        who = {"dataset": SHORT, "email": MAIL}
        if permission == "none":
            await ada.post("/user/deassign-dataset", json=who)
        else:
            await ada.post("/user/update-permission-dataset", json={**who, "permissions": permission})
        for headers in ({}, token):
            found = (
                await status("/server/query", {"message": "raven"}, headers),
                await status("/server/train-with-array", {"data": ["eve was here"], "filename": "eve.txt"}, headers),
                await status("/user/get-dataset-permissions", {}, headers),
            )
            if found != statuses:
                wrong.append(f"{permission} by {'token' if headers else 'key'}: {found}")
    return Row(
        "read, edit, admin and none, by key and by token",
        f"{len(wanted) * 6} requests, {len(wrong)} wrong{': ' + wrong[0] if wrong else ''}",
        "each right counts from the request on that follows it",
        not wrong,
    )


async def _attacked(folder: Path, configs: Path, url: str | None, documents: int) -> AsyncIterator[Row]:
    settings = Settings(data_dir=folder / "data", model_configs=configs, database_url=url)
    keys = await _keys(settings)
    chosen = {"ASKSAGE_KEEP_PROMPTS": "true"} | ({} if url is None else {"DATABASE_URL": url})
    with served(folder, configs=configs, settings=chosen) as target:
        async with target.client(keys["ada"]) as ada, target.client(keys["eve"]) as eve:
            async for row in _alike(ada, eve):
                yield row
            yield await _unmoved(ada, eve, documents)
            yield await _rights(ada, eve)


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    from tests.postgres import serving

    configs = folder / "configs"
    configs.mkdir()
    for task in ("chat", "embedding"):
        (configs / f"{task}.yaml").write_text(FAKE.format(task=task))
    documents = 2 if quick else 20
    async for row in _attacked(folder / "sqlite", configs, None, documents):
        yield replace(row, attack=f"{row.attack} (SQLite)")
    with serving() as server:
        async for row in _attacked(folder / "postgresql", configs, server.create("knowledge"), documents):
            yield replace(row, attack=f"{row.attack} (PostgreSQL)")
