"""Another account's files, batches, responses and conversations, by every route: what is there looks like what is not.

Ada keeps something of each; Eve asks for it by all ids that it has, and by ids as long that nothing has. Both answers
must be the same bytes but for the id that Eve gave herself. Then comes what is hostile by itself: kept_hostile.py.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from scripts.attacks import kept_hostile
from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served
from server.accounts.administration import Administration
from server.settings import Settings

MARK, NAME = "4711-raven", "4712-crow.txt"
"""In all contents that Ada keeps, and what her files are called: in nothing else."""
OWN_HEADERS = frozenset({"date", "x-request-id", "x-sagehold-time-ms", "openai-processing-ms"})
"""They differ from answer to answer."""
CHAT = "/v1/chat/completions"
PICTURE = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\3\1\1\0"
    b"\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
DONE = ("completed", "failed", "cancelled", "expired")
ENDS = 60.0
"""Seconds that a batch of some lines may take."""

BY_PATH: Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]] = {
    "file": (
        ("GET", "/v1/files/{}", {}),
        ("GET", "/v1/files/{}/content", {}),
        ("HEAD", "/v1/files/{}/content", {}),
        ("GET", "/v1/files/{}/content", {"headers": {"Range": "bytes=0-3"}}),
        ("GET", "/v1/files/{}/content", {"headers": {"Range": "bytes=9999999-"}}),
        ("GET", "/v1/files/{}/content", {"headers": {"If-None-Match": "*"}}),
        ("DELETE", "/v1/files/{}", {}),
        ("DELETE", "/admin/v1/files/{}", {}),
    ),
    "batch": (
        ("GET", "/v1/batches/{}", {}),
        *((("POST", f"/v1/batches/{{}}/{act}", {})) for act in ("cancel", "pause", "resume")),
        *((("POST", f"/admin/v1/batches/{{}}/{act}", {})) for act in ("cancel", "pause", "resume")),
    ),
    "response": (
        ("GET", "/v1/responses/{}", {}),
        ("HEAD", "/v1/responses/{}", {}),
        ("GET", "/v1/responses/{}?stream=true", {}),
        ("GET", "/v1/responses/{}?stream=true&starting_after=0", {}),
        ("GET", "/v1/responses/{}/input_items", {}),
        ("GET", "/v1/responses/{}/input_items?after={item}&order=asc&limit=1", {}),
        ("POST", "/v1/responses/{}/cancel", {}),
        ("DELETE", "/v1/responses/{}", {}),
    ),
    "conversation": (
        ("GET", "/v1/conversations/{}", {}),
        ("POST", "/v1/conversations/{}", {"json": {"metadata": {}}}),
        ("DELETE", "/v1/conversations/{}", {}),
        ("GET", "/v1/conversations/{}/items", {}),
        ("GET", "/v1/conversations/{}/items?after={item}", {}),
        ("POST", "/v1/conversations/{}/items", {"json": {"items": [{"role": "user", "content": "mine"}]}}),
        ("GET", "/v1/conversations/{}/items/{item}", {}),
        ("DELETE", "/v1/conversations/{}/items/{item}", {}),
    ),
    "item": (
        ("GET", "/v1/conversations/{own}/items/{}", {}),
        ("DELETE", "/v1/conversations/{own}/items/{}", {}),
        ("GET", "/v1/conversations/{own}/items?after={}", {}),
        ("GET", "/v1/responses/{mine}/input_items?after={}", {}),
    ),
}
"""By kinds of things: method, path and the rest of the request. `{}` is the thing's id, `{item}` that of an item of
Ada's, `{own}` and `{mine}` are a conversation and a response of Eve's."""
IN_LISTS = {"file": ("/v1/files",), "batch": ("/v1/batches",)}
"""Lists that go on after a thing."""
LISTS = (
    *("/v1/files", "/v1/files?order=asc&limit=10000", "/v1/files?purpose=batch_output", "/v1/files?purpose=batch"),
    *("/v1/batches", "/v1/batches?limit=100", "/v1/key", "/v1/usage", "/v1/models", "/metrics", "/openapi.json"),
)
"""What shows several things at once, and must show nothing of Ada's."""


@dataclass(frozen=True, slots=True)
class Hers:
    """What Ada keeps: ids by the kind of thing."""

    ids: Mapping[str, Sequence[str]]

    @property
    def item(self) -> str:
        return self.ids["item"][0]

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """The kind, what could be an id of hers, and as long a one of nothing."""
        for kind, ids in self.ids.items():
            for one in ids:
                none = absent(one)
                yield kind, one, none
                yield kind, one.upper(), none.upper()
                yield kind, f"{one}%00", f"{none}%00"
                yield kind, f"{one}%20", f"{none}%20"
                yield kind, f"{one}%0A", f"{none}%0A"
                yield kind, f"%2e%2e%2f{one}", f"%2e%2e%2f{none}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two requests that must be answered alike, as keyword arguments of httpx but for the method and the path."""

    method: str
    name: str
    other: str
    first: str
    second: str
    first_sent: Mapping[str, Any]
    second_sent: Mapping[str, Any]
    told: str = field(default="")


def absent(name: str) -> str:
    """As long an id, of nothing."""
    prefix = name[: -len(name.lstrip("abcdefghijklmnopqrstuvwxyz")) or None]
    begins = len(prefix) + 1
    return name[:begins] + "0" * (len(name) - begins)


def in_bodies(kind: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and body of requests that name a thing."""

    def said(*parts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [{"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}]

    def given(**body: Any) -> Mapping[str, Any]:
        return {"model": "chat", "input": "?", **body}

    match kind:
        case "file":
            yield CHAT, {"model": "chat", "messages": said({"type": "file", "file": {"file_id": name}})}
            for part in ("input_file", "input_image"):
                whole = [{"role": "user", "content": [{"type": part, "file_id": name}]}]
                for path in ("/v1/responses", "/v1/responses/input_tokens"):
                    yield path, given(input=whole)
                yield "/v1/responses", given(input=whole, stream=True)
                yield "/v1/responses", given(input=whole, truncation="auto")
            for task in ("transcriptions", "translations"):
                yield f"/v1/audio/{task}", {"model": "transcription", "file_id": name}
            yield "/v1/batches", {"input_file_id": name, "endpoint": CHAT, "completion_window": "24h"}
        case "response":
            for more in ({}, {"stream": True}, {"store": False}, {"background": True}, {"truncation": "auto"}):
                yield "/v1/responses", given(previous_response_id=name, **more)
            yield "/v1/responses/input_tokens", given(previous_response_id=name)
        case "conversation":
            for called in (name, {"id": name}):
                for more in ({}, {"stream": True}, {"background": True}):
                    yield "/v1/responses", given(conversation=called, **more)
                yield "/v1/responses/input_tokens", given(conversation=called)
        case "item":
            for reference in ({"type": "item_reference", "id": name}, {"id": name}):
                yield "/v1/responses", given(input=[reference])
                yield "/v1/responses", given(input=[reference], background=True)
                yield "/v1/responses/input_tokens", given(input=[reference])


def pairs(hers: Hers, own: str, mine: str) -> Iterator[Pair]:
    """own, mine: a conversation and a response of Eve's."""
    for kind, name, other in hers.pairs():
        for method, path, sent in BY_PATH[kind]:
            filled = path.replace("{item}", hers.item).replace("{own}", own).replace("{mine}", mine)
            yield Pair(method, name, other, filled.replace("{}", name), filled.replace("{}", other), sent, sent)
        for path in IN_LISTS.get(kind, ()):
            yield Pair("GET", name, other, f"{path}?after={name}", f"{path}?after={other}", {}, {})
        for (path, body), (_, none) in zip(
            in_bodies(kind, httpx.URL(f"http://x/{name}").path[1:]),
            in_bodies(kind, httpx.URL(f"http://x/{other}").path[1:]),
            strict=True,
        ):
            yield Pair("POST", name, other, path, path, {"json": body}, {"json": none})


def seen(answer: httpx.Response, name: str) -> tuple[Any, ...]:
    """What an answer shows, without the id that was asked for."""
    plain = httpx.URL(f"http://x/{name}").path[1:]
    headers = sorted((key, value) for key, value in answer.headers.items() if key not in OWN_HEADERS)
    content = answer.content
    for form in (name, json.dumps(plain)[1:-1], plain):
        content = content.replace(form.encode(), b"*")
    return answer.status_code, content, tuple(headers)


async def differences(eve: httpx.AsyncClient, todo: Sequence[Pair]) -> list[str]:
    """What is answered otherwise than for what is not there, or not refused, or shows what Ada keeps."""
    wrong = []
    for pair in todo:
        first = await eve.request(pair.method, pair.first, **pair.first_sent)
        second = await eve.request(pair.method, pair.second, **pair.second_sent)
        told = f"{pair.method} {pair.first} {json.dumps(pair.first_sent)[:200]}"
        if seen(first, pair.name) != seen(second, pair.other):
            wrong.append(f"{told}: {first.status_code} {first.text[:150]!r}; none: {second.text[:150]!r}")
        elif not 400 <= first.status_code < 500 or MARK in first.text:
            wrong.append(f"{told}: {first.status_code} {first.text[:200]!r}")
    return wrong


# ---------------------------------------------------------------- what is kept


async def posted(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, f"{path}: {answer.text[:500]}"
    return answer.json()


async def uploaded(client: httpx.AsyncClient, name: str, data: bytes, purpose: str) -> str:
    answer = await client.post("/v1/files", data={"purpose": purpose}, files={"file": (name, data)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def lines(bodies: Sequence[Mapping[str, Any]], url: str = CHAT) -> bytes:
    rows = [
        {"custom_id": f"{MARK}-{number}", "method": "POST", "url": url, "body": body}
        for number, body in enumerate(bodies)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def ended(client: httpx.AsyncClient, batch_id: str) -> Any:
    until = time.monotonic() + ENDS
    while True:
        batch = (await client.get(f"/v1/batches/{batch_id}")).json()
        if batch["status"] in DONE or time.monotonic() > until:
            return batch
        await asyncio.sleep(0.1)


async def ordered(client: httpx.AsyncClient, file_id: str, url: str = CHAT, **more: Any) -> str:
    made = await posted(client, "/v1/batches", input_file_id=file_id, endpoint=url, completion_window="24h", **more)
    return str(made["id"])


async def hers_of(ada: httpx.AsyncClient) -> Hers:
    """Let Ada keep something of each."""
    secret = {"model": "chat", "messages": [{"role": "user", "content": MARK}]}
    files = [
        await uploaded(ada, NAME, lines([secret] * 3), "batch"),
        await uploaded(ada, NAME, MARK.encode(), "user_data"),
        await uploaded(ada, NAME, PICTURE, "vision"),
    ]
    done = await ended(ada, await ordered(ada, files[0], metadata={"a": MARK}))
    assert done["status"] == "completed", done
    paused = await ordered(ada, await uploaded(ada, NAME, lines([secret] * 2000), "batch"), metadata={"a": MARK})
    await ada.post(f"/v1/batches/{paused}/pause")
    one = await posted(ada, "/v1/responses", model="chat", input=MARK, metadata={"a": MARK})
    talk = await posted(
        ada, "/v1/conversations", metadata={"a": MARK}, items=[{"role": "user", "content": MARK, "id": "msg_4713"}]
    )
    said = await posted(ada, "/v1/responses", model="chat", input=MARK, conversation=talk["id"])
    await ada.post("/v1/responses", json={"model": "chat", "input": MARK, "background": True, "stream": True})
    streamed = await posted(ada, "/v1/responses", model="chat", input=MARK, background=True)
    listed = (await ada.get(f"/v1/conversations/{talk['id']}/items")).json()["data"]
    sent = (await ada.get(f"/v1/responses/{one['id']}/input_items")).json()["data"]
    return Hers(
        {
            "file": [*files, done["output_file_id"]],
            "batch": [done["id"], paused],
            "response": [one["id"], said["id"], streamed["id"]],
            "conversation": [talk["id"]],
            "item": [listed[0]["id"], sent[0]["id"], one["output"][0]["id"], "msg_4713"],
        }
    )


async def state(ada: httpx.AsyncClient, hers: Hers) -> list[Any]:
    """What Ada keeps, as she sees it."""
    found: list[Any] = [(await ada.get(path)).text for path in ("/v1/files", "/v1/batches")]
    for kind, path in (
        ("file", "/v1/files/{}/content"),
        ("response", "/v1/responses/{}"),
        ("response", "/v1/responses/{}/input_items"),
        ("conversation", "/v1/conversations/{}"),
        ("conversation", "/v1/conversations/{}/items?limit=100"),
    ):
        found += [(await ada.get(path.replace("{}", one))).text for one in hers.ids[kind]]
    return found


# ---------------------------------------------------------------- the attacks


async def _alike(target: Target, ada: httpx.AsyncClient, eve: httpx.AsyncClient, *, quick: bool) -> AsyncIterator[Row]:
    hers = await hers_of(ada)
    before = await state(ada, hers)
    own = (await posted(eve, "/v1/conversations"))["id"]
    mine = (await posted(eve, "/v1/responses", model="chat", input="mine"))["id"]
    todo = list(pairs(hers, own, mine))
    todo = todo[::7] if quick else todo
    wrong = await differences(eve, todo)
    yield Row(
        "another account's kept things, by every route and id",
        f"{len(todo):,} pairs of requests, {len(wrong)} answered otherwise than for what is not there"
        f"{': ' + wrong[0] if wrong else ''}"[:500],
        "the same bytes",
        not wrong,
    )
    yield await _lists(eve, hers)
    yield await _lines(eve, hers)
    same = await state(ada, hers) == before
    yield Row("what all that changed", "nothing" if same else "something of Ada's", "nothing is changed", same)
    told = target.log.read_text()
    shown = [word for word in (MARK, NAME, "sk-sage-") if word in told]
    yield Row(
        "what is kept, and keys, in the server's log",
        f"{len(told.splitlines()):,} lines, {len(shown)} of them there{': ' + shown[0] if shown else ''}",
        "nothing of it is logged",
        not shown,
    )


async def _lists(eve: httpx.AsyncClient, hers: Hers) -> Row:
    secrets = (MARK, NAME, *(one for ids in hers.ids.values() for one in ids))
    told = []
    for path in LISTS:
        text = (await eve.get(path)).text
        told += [f"{path} shows {secret}" for secret in secrets if secret in text]
    return Row(
        "another account's kept things in lists",
        f"{len(LISTS)} lists, {len(told)} show something{': ' + told[0] if told else ''}",
        "nothing is shown",
        not told,
    )


async def _lines(eve: httpx.AsyncClient, hers: Hers) -> Row:
    """Lines of a batch of Eve's that name what is Ada's."""
    bodies = [
        body
        for kind, ids in hers.ids.items()
        for one in ids
        for path, body in in_bodies(kind, one)
        if path == "/v1/responses" and not body.get("background") and not body.get("stream")
    ]
    data = lines(bodies, "/v1/responses").replace(MARK.encode(), b"line")
    batch = await ended(eve, await ordered(eve, await uploaded(eve, "mine.jsonl", data, "batch"), "/v1/responses"))
    answers = [
        (await eve.get(f"/v1/files/{batch[name]}/content")).text
        for name in ("output_file_id", "error_file_id")
        if batch[name]
    ]
    counts = batch["request_counts"]
    refused = counts["failed"] == counts["total"] == len(bodies) and not any(MARK in text for text in answers)
    return Row(
        "lines of a batch that name another account's things",
        f"{counts['failed']} of {len(bodies)} lines refused, batch {batch['status']}",
        "each is refused",
        refused,
    )


async def _keys(target: Target, keys: Mapping[str, str], hers: Mapping[str, str]) -> Row:
    """Keys that may less than the account keeps. hers: an id of each kind."""
    wrong, count = [], 0
    paths = [
        (method, path.replace("{}", hers[kind]).replace("{item}", "msg_1"), sent)
        for kind, rows in BY_PATH.items()
        if kind != "item"
        for method, path, sent in rows
        if path.startswith("/v1")
    ]
    paths += [("POST", path, {"json": {}}) for path in ("/v1/responses", "/v1/conversations", "/v1/batches")]
    paths += [("GET", path, {}) for path in ("/v1/files", "/v1/batches", "/admin/v1/files", "/admin/v1/batches")]
    for name, wanted in (("", 401), ("sk-sage-" + "0" * 43, 401), (keys["reader"], 403)):
        async with target.client(name) as client:
            for method, path, sent in paths:
                count += 1
                answer = await client.request(method, path, **sent)
                if answer.status_code != wanted or MARK in answer.text:
                    wrong.append(f"{method} {path}: {answer.status_code} for {name[:12] or 'no key'}")
    async with target.client(keys["limited"]) as client:
        asked = {"model": "chat", "messages": [{"role": "user", "content": "?"}]}
        batch = await ended(client, await ordered(client, await uploaded(client, "l.jsonl", lines([asked]), "batch")))
        codes = [one["code"] for one in (batch["errors"] or {"data": []})["data"]]
        count += 1
        if (batch["status"], codes) != ("failed", ["model_not_found"]):
            wrong.append(f"a batch for a model that its key may not use: {batch['status']} {codes}")
    return Row(
        "keys that may less: none, a wrong one, without the scope, for other models",
        f"{count} requests, {len(wrong)} answered otherwise{': ' + wrong[0] if wrong else ''}",
        "401, 403, and a batch that fails",
        not wrong,
    )


async def _accounts(settings: Settings) -> dict[str, str]:
    """Keys by names: of an account each for ada and eve, and two of ada's that may less."""
    async with Administration.open(settings) as administration:
        accounts, keys = administration.accounts, {}
        for name in ("ada", "eve"):
            await accounts.create_account(name, metered=False, email=f"{name}@example.org")
            keys[name] = (await accounts.create_key(account=name)).key
        keys["reader"] = (await accounts.create_key(account="ada", scopes=["usage"])).key
        keys["limited"] = (await accounts.create_key(account="ada", models=["embedding"])).key
        return keys


async def _attacked(folder: Path, configs: Path, url: str | None, *, quick: bool) -> AsyncIterator[Row]:
    settings = Settings(data_dir=folder / "data", model_configs=configs, database_url=url)
    keys = await _accounts(settings)
    chosen = {"ENCRYPT_RESPONSES": "true"} if url is None else {"DATABASE_URL": url}
    with served(folder, configs=configs, settings=chosen) as target:
        async with target.client(keys["ada"]) as ada, target.client(keys["eve"]) as eve:
            async for row in _alike(target, ada, eve, quick=quick):
                yield row
            one = {
                "file": await uploaded(ada, NAME, MARK.encode(), "user_data"),
                "batch": (await ada.get("/v1/batches")).json()["data"][0]["id"],
                "response": (await posted(ada, "/v1/responses", model="chat", input=MARK))["id"],
                "conversation": (await posted(ada, "/v1/conversations", metadata={"a": MARK}))["id"],
            }
            yield await _keys(target, keys, one)
            async for row in kept_hostile.rows(target, eve):
                yield row


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    from tests.postgres import serving

    configs = fake_models(folder)
    async for row in _attacked(folder / "sqlite", configs, None, quick=quick):
        yield replace(row, attack=f"{row.attack} (SQLite)")
    with serving() as server:
        async for row in _attacked(folder / "postgresql", configs, server.create("kept"), quick=quick):
            yield replace(row, attack=f"{row.attack} (PostgreSQL)")
    with served(folder / "open", configs=configs, settings={"AUTH": "off"}) as target:
        yield await kept_hostile.from_other_sites(target)
