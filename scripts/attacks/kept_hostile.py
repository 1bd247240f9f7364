"""What is hostile by itself, whoever sends it to be kept: strings, names, contents, sizes and numbers; and pages of
other sites, where no key is needed.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import httpx
import psutil

from scripts.attacks.row import Row
from scripts.attacks.target import Target

Sent = tuple[str, str, Mapping[str, Any]]
"""Method, path and the rest of a request, as keyword arguments of httpx."""
DEEP = '{"a":' * 5000 + "1" + "}" * 5000
RAW = (DEEP, '{"metadata":{"a":"\\ud800"},"model":"chat","input":"\\udfff"}', "[" * 100_000, "{", "null", "\0")
STRINGS = ("\0", "a\0b", "\u2028", "\x1b[31m", "x" * 100_000, "' OR '1'='1", "../../etc/passwd", "%s%n{0}", "\ufffe")
NUMBERS = ("-1", "0", "1e9", "99999999999999999999", "2147483648", "nan", "", "٣", "1\0")
NAMES = (
    'a"\r\nX-Evil: 1',
    "../../../etc/passwd",
    "<script>.html",
    "a\u202egpj.exe",
    "\u0000",
    "x" * 4000,
    "é\u2028.txt",
)
HTML = b"<html><script>alert(document.domain)</script></html>"
PATIENCE = 1.0
"""Seconds within which the server answers others, whatever it is sent."""
LARGE, OFTEN = 4 * 2**20, 2000
"""Characters of an item, and how often a request refers to it."""
GROWTH = 400 * 2**20
"""Bytes by which the server may grow."""


def _requests(own: str, mine: str) -> Iterator[Sent]:
    """Every field that takes a text or a number, with what is no good one. own, mine: a conversation, a response."""
    for text in STRINGS:
        yield from _in_conversations(own, text)
        yield from _in_responses(text)
        yield from _in_files_and_batches(text)
        for path in (*_lists(own, mine), "/v1/responses", "/v1/conversations"):
            yield "GET", f"{path}/{httpx.QueryParams({'a': text[:9000]})}"[:9000], {}
        for path in _lists(own, mine):
            for name in ("after", "order", "purpose", "limit"):
                yield "GET", path, {"params": {name: text[:5000]}}
    for number in NUMBERS:
        for path in _lists(own, mine):
            yield "GET", path, {"params": {"limit": number}}
        yield "GET", f"/v1/responses/{mine}", {"params": {"stream": "true", "starting_after": number}}
    json_type = {"headers": {"Content-Type": "application/json"}}
    items = {"input": [{"role": "user", "content": "x"}] * 10_000, "items": [{}] * 10_000}
    for path in ("/v1/responses", "/v1/conversations", "/v1/batches", f"/v1/conversations/{own}/items"):
        for raw in (*RAW, json.dumps({"model": "chat", **items})):
            yield "POST", path, {"content": raw, **json_type}


def _lists(own: str, mine: str) -> Sequence[str]:
    return "/v1/files", "/v1/batches", f"/v1/conversations/{own}/items", f"/v1/responses/{mine}/input_items"


def _in_conversations(own: str, text: str) -> Iterator[Sent]:
    part = {"role": "user", "content": text, "id": text[:64]}
    yield "POST", "/v1/conversations", {"json": {"metadata": {text[:64]: text[:512]}, "items": [part]}}
    yield "POST", f"/v1/conversations/{own}/items", {"json": {"items": [part]}}
    yield "POST", f"/v1/conversations/{own}", {"json": {"metadata": {text: text}}}


def _in_responses(text: str) -> Iterator[Sent]:
    def asked(given: Any = "?", **more: Any) -> Sent:
        return "POST", "/v1/responses", {"json": {"model": "chat", "input": given, **more}}

    for name in (
        *("previous_response_id", "conversation", "user", "safety_identifier", "prompt_cache_key"),
        *("instructions", "model", "truncation"),
    ):
        yield asked(**{name: text})
    part = {"role": "user", "content": text, "id": text[:64]}
    yield asked([part], background=True)
    yield asked([part, {"type": "function_call", "call_id": text[:64], "name": text, "arguments": text}])
    for item in ({"type": "item_reference", "id": text}, {"type": text}, {**part, "role": text}):
        yield asked([item])
    for kind in ("input_file", "input_image"):
        for name in ("file_id", "file_data", "file_url", "image_url", "filename"):
            yield asked([{**part, "content": [{"type": kind, name: text}]}])


def _in_files_and_batches(text: str) -> Iterator[Sent]:
    whole = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {}}
    for name in whole:
        yield "POST", "/v1/batches", {"json": {**whole, name: text}}
    for name in ("purpose", "expires_after[anchor]", "expires_after[seconds]", text[:100]):
        yield "POST", "/v1/files", {"data": {"purpose": "user_data", name: text}, "files": {"file": ("a.txt", b"x")}}


async def rows(target: Target, eve: httpx.AsyncClient) -> AsyncIterator[Row]:
    yield await _answered(eve)
    yield await _names(eve)
    yield await _references(target, eve)


async def _answered(eve: httpx.AsyncClient) -> Row:
    own = (await eve.post("/v1/conversations")).json()["id"]
    mine = (await eve.post("/v1/responses", json={"model": "chat", "input": "mine"})).json()["id"]
    wrong, count, slowest = [], 0, 0.0
    for method, path, sent in _requests(own, mine):
        count += 1
        begun = time.monotonic()
        answer = await eve.request(method, path, **sent)
        slowest = max(slowest, time.monotonic() - begun)
        if answer.status_code >= 500:
            wrong.append(f"{method} {path[:100]} {str(sent)[:150]}: {answer.status_code} {answer.text[:150]}")
    return Row(
        "hostile strings, numbers and shapes in every field that is kept",
        f"{count:,} requests, {len(wrong)} answered 5xx, the slowest in {slowest:.2f} s"
        f"{': ' + wrong[0] if wrong else ''}"[:600],
        f"each is taken or refused, within {2 * PATIENCE:.0f} s",
        not wrong and slowest < 2 * PATIENCE,
    )


async def _names(eve: httpx.AsyncClient) -> Row:
    """Files with names and contents that a browser could be made to run."""
    wrong = []
    for name in NAMES:
        answer = await eve.post("/v1/files", data={"purpose": "user_data"}, files={"file": (name, HTML)})
        if answer.status_code != 200:
            if answer.status_code >= 500:
                wrong.append(f"{name[:20]!r}: {answer.status_code}")
            continue
        file = answer.json()
        content = await eve.get(f"/v1/files/{file['id']}/content")
        headers = content.headers
        safe = (
            content.content == HTML
            and "x-evil" not in headers
            and headers["content-disposition"].startswith("attachment;")
            and headers["content-type"] == "application/octet-stream"
            and headers["x-content-type-options"] == "nosniff"
            and "sandbox" in headers["content-security-policy"]
            and not re.search(r"[\x00-\x1f/\\\u202a-\u202e\u2028\u2029]", file["filename"])
        )
        if not safe:
            wrong.append(f"{name[:20]!r}: {dict(headers)}")
    return Row(
        "files with hostile names, and a page of HTML in them",
        f"{len(NAMES)} files, {len(wrong)} unsafe{': ' + wrong[0] if wrong else ''}"[:400],
        "attachments of no type, names of one line",
        not wrong,
    )


async def _references(target: Target, eve: httpx.AsyncClient) -> Row:
    """One large item, named thousands of times in a small request."""
    answer = await eve.post("/v1/conversations", json={"items": [{"role": "user", "content": "x" * LARGE}]})
    item = (await eve.get(f"/v1/conversations/{answer.json()['id']}/items")).json()["data"][0]["id"]
    process = psutil.Process(target.process.pid)
    before, slowest, statuses = process.memory_info().rss, 0.0, set[int]()
    body = {"model": "chat", "input": [{"type": "item_reference", "id": item}] * OFTEN}
    asking = [asyncio.create_task(eve.post("/v1/responses", json=body)) for _ in range(4)]
    most = before
    while not all(task.done() for task in asking):
        begun = time.monotonic()
        await eve.get("/health")
        slowest = max(slowest, time.monotonic() - begun)
        most = max(most, process.memory_info().rss)
        if most - before > 4 * GROWTH:
            break
        await asyncio.sleep(0.02)
    for task in asking:
        task.cancel() if not task.done() else statuses.add(task.result().status_code)
    grown = most - before
    size = len(json.dumps(body)) / 1024
    return Row(
        f"an item of {LARGE / 2**20:.0f} MiB that a request of {size:.0f} KiB names {OFTEN:,} times",
        f"{sorted(statuses)}, {grown / 2**20:.0f} MiB more, /health within {slowest:.2f} s",
        f"400, at most {GROWTH / 2**20:.0f} MiB, within {PATIENCE:.0f} s",
        statuses == {400} and grown < GROWTH and slowest < PATIENCE,
    )


async def from_other_sites(target: Target) -> Row:
    """What a page of another site can have a browser send without asking first, to a server that wants no key."""
    plain = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    wrong, count = [], 0
    async with target.client("") as anyone:
        kept = (await anyone.post("/v1/responses", json={"model": "chat", "input": "mine"})).json()["id"]
        talk = (await anyone.post("/v1/conversations")).json()["id"]
        paths = (
            *("/v1/responses", "/v1/responses/input_tokens", f"/v1/responses/{kept}/cancel", "/v1/conversations"),
            *(f"/v1/conversations/{talk}", f"/v1/conversations/{talk}/items", "/v1/files", "/v1/batches"),
            *(f"/v1/batches/batch_{'0' * 32}/{act}" for act in ("cancel", "pause", "resume")),
        )
        for path in paths:
            for sent in (
                {"content": '{"model":"chat","input":"?"}', "headers": {"Content-Type": "text/plain"}},
                {"data": {"model": "chat", "purpose": "user_data"}, "files": {"file": ("a.txt", b"x")}},
                {"data": {"model": "chat"}},
                {},
            ):
                count += 1
                answer = await anyone.post(path, **{**sent, "headers": {**sent.get("headers", {}), **plain}})  # type: ignore[arg-type, dict-item]
                if answer.status_code != 403:
                    wrong.append(f"POST {path} {sent}: {answer.status_code}")
        for path in (f"/v1/responses/{kept}", f"/v1/conversations/{talk}", "/v1/files"):
            count += 1
            answer = await anyone.get(path, headers=plain)
            if "access-control-allow-origin" in answer.headers:
                wrong.append(f"GET {path} may be read by other sites")
        files = (await anyone.get("/v1/files")).json()["data"]
        for path in ("/admin/v1/files", "/admin/v1/batches"):
            count += 1
            if (await anyone.get(path)).status_code != 401:
                wrong.append(f"GET {path} needs no key")
    return Row(
        "pages of other sites, where no key is needed",
        f"{count} requests, {len(wrong)} let through{': ' + wrong[0] if wrong else ''}, {len(files)} files kept",
        "403, and nothing kept",
        not wrong and not files,
    )
