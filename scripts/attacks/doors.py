"""Every route by every spelling with every key that must not open it: who is let in?

python -m scripts.attacks.doors
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served

AT_ONCE = 400
"""More than may wait at once for the answer to a wrong key, so that the waits don't make an hour of it."""
LONGEST = 60.0
"""Seconds to wait for an answer."""
LIFETIME = timedelta(seconds=2)
"""Of the key that is to expire: enough for it to be made."""
QUICK = 7
"""Of so many requests a quick run sends one."""
BODY = b'{"model":"chat","messages":[{"role":"user","content":"hi"}],"name":"thief","account":"default","credits":1}'


@dataclass(frozen=True, slots=True)
class Door:
    """A method and a path that need one of `scopes`."""

    method: str
    path: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Attempt:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]


def doors(document: dict[str, Any]) -> list[Door]:
    """The routes of an OpenAPI document that need a key."""
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scopes = {scope for one in operation.get("security", ()) for scheme in one.values() for scope in scheme}
            if scopes:
                found.append(Door(method.upper(), path, frozenset(scopes)))
    return found


def spellings(door: Door) -> Iterator[Attempt]:
    """The same door by other words: paths that a proxy or a careless router might take for another one."""
    path = door.path.replace("{account}", "default").replace("{key_id}", "key_1").replace("{model_id}", "chat")
    first, _, rest = path[1:].partition("/")
    ways = [
        path,
        f"{path}/",
        f"/{path}",
        path.replace("/", "//"),
        f"{path}?x=/health",
        f"{path}?api_key=none",
        f"{path};/health",
        f"{path}#/health",
        f"/server{path}",
        f"/openai{path}",
        f"/server/openai{path}",
        f"/{rest}" if first == "v1" else f"/v1{path}",  # /v1/usage is another door than /admin/v1/usage
        f"/health/..{path}",
        f"/health/%2e%2e{path}",
        f"/.{path}",
        f"/{first.upper()}/{rest}",
        path.upper(),
        f"/{first}%2f{rest}",
        f"/%{ord(first[0]):x}{path[2:]}",
        f"{path}%00",
        f"{path}%20",
        f"{path}.json",
        f"{path}/../../health",
        f"\\{path[1:]}",
    ]
    yield from (Attempt(door.method, target, ()) for target in ways)
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"):
        yield Attempt(door.method, path, ((name, "/health"),))
        yield Attempt("GET", "/health", ((name, path),))
    yield Attempt("HEAD" if door.method == "GET" else "GET", path, (("X-HTTP-Method-Override", door.method),))


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that open nothing, by what they are; `scopes` are those of each that is good as such."""

    texts: dict[str, str]
    scopes: dict[str, frozenset[str]]


async def _pass(until: datetime) -> None:
    await asyncio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))


async def wrong_keys(admin: httpx.AsyncClient, passing: Callable[[datetime], Awaitable[None]] = _pass) -> Keys:
    """None, a wrong one, a revoked, an expired, one of a closed account, and one for each scope alone.

    passing: returns once the instant is over, at which the expired one expires.
    """

    async def made(**terms: Any) -> dict[str, Any]:
        answer = await admin.post("/admin/v1/keys", json={"account": "default", **terms})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    everything = ["inference", "usage", "admin"]
    soon = datetime.now(UTC) + LIFETIME
    revoked = await made(scopes=everything)
    (await admin.delete(f"/admin/v1/keys/{revoked['id']}")).raise_for_status()
    expired = await made(scopes=everything, expires_at=soon.isoformat())
    (await admin.post("/admin/v1/accounts", json={"name": "closed"})).raise_for_status()
    closed = await made(account="closed", scopes=everything)
    (await admin.patch("/admin/v1/accounts/closed", json={"closed": True})).raise_for_status()
    single = {scope: (await made(scopes=[scope]))["key"] for scope in ("inference", "usage")}
    await passing(soon)
    texts = {
        "none": "",
        "wrong": "sk-sage-" + "x" * 43,
        "revoked": revoked["key"],
        "expired": expired["key"],
        "closed account": closed["key"],
        **{f"{scope} only": key for scope, key in single.items()},
    }
    return Keys(texts, {f"{scope} only": frozenset({scope}) for scope in single})


async def knock(url: str, attempt: Attempt, key: str) -> int:
    """The status of one request, sent byte for byte; 0 where the server hung up without one."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        headers = [("Host", where.netloc), ("Connection", "close"), *attempt.headers]
        headers += [("Authorization", f"Bearer {key}")] if key else []
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
        lines = [f"{attempt.method} {attempt.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + BODY)
        answer = await asyncio.wait_for(reader.readline(), LONGEST)
    except ConnectionError:
        return 0
    finally:
        writer.close()
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0


def tries(document: dict[str, Any], keys: Keys) -> Iterator[tuple[Attempt, str]]:
    """Every attempt that must be refused, with the kind of key."""
    for door in doors(document):
        for attempt in spellings(door):
            for kind in keys.texts:
                if not keys.scopes.get(kind, frozenset()) & door.scopes:
                    yield attempt, kind


async def _all(target: Target, *, quick: bool) -> Row:
    async with target.client() as admin:
        keys = await wrong_keys(admin)
        document = (await admin.get("/openapi.json")).json()
        before = await _state(admin)
        todo = list(tries(document, keys))[:: QUICK if quick else 1]
        at_once, answers = asyncio.Semaphore(AT_ONCE), Counter[int]()
        let_in: list[str] = []

        async def one(attempt: Attempt, kind: str) -> None:
            async with at_once:
                status = await knock(target.url, attempt, keys.texts[kind])
            if attempt.target == "/health" and status == 200:
                return  # that door is open to all; a key that a header opened by it would have changed something
            answers[status] += 1
            if status < 400 or status >= 500:
                let_in.append(f"{attempt.method} {attempt.target} ({kind}): {status}")

        await asyncio.gather(*(one(*each) for each in todo))
        same = await _state(admin) == before
    told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
    found = f"; let in: {'; '.join(sorted(let_in)[:5])}" if let_in else ""
    return Row(
        "every route by every spelling, without a key, with a wrong, revoked, expired or scopeless one, and one of a "
        "closed account",
        f"{answers.total():,} requests, {len(let_in)} let in ({told}); "
        f"accounts and keys {'as before' if same else 'changed'}{found}",
        "none let in, nothing changed",
        not let_in and same,
    )


async def _state(admin: httpx.AsyncClient) -> list[Any]:
    """Accounts, and the acts of administration: what a thief would have changed."""
    accounts = (await admin.get("/admin/v1/accounts")).json()["data"]
    return [accounts, (await admin.get("/admin/v1/audit", params={"limit": 1000})).json()["data"]]


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    # The waits for wrong keys are the server's own defence, and another row's: here they are only waited out.
    with served(folder / "doors", configs=fake_models(folder)) as target:
        yield await _all(_with_admin(target), quick=quick)


def _with_admin(target: Target) -> Target:
    """The target with a key of the administrator: the first one lets nobody administer."""
    made = subprocess.run(
        [sys.executable, "-m", "server", "keys", "create", "--scopes", "admin"],
        env={**os.environ, "SAGEHOLD_DATA_DIR": str(target.folder / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    return replace(target, key=made.stdout.strip())


async def _print() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder)):
            print(row)


if __name__ == "__main__":
    asyncio.run(_print())
