"""Every route in many spellings, by keys that may not pass: nobody is let in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.attacks.row import Row
from scripts.attacks.target import Target, fake_models, served
from scripts.attacks.wire import ask
from server.accounts.administration import Administration
from server.settings import Settings

AT_ONCE = 300
SCOPES = ("inference", "usage")
METHODS = ("get", "post", "patch", "delete")


def spellings(path: str) -> list[str]:
    """A route's path in the ways by which routers and checks of rights have been told apart before."""
    bare = path.removeprefix("/v1")
    last = path.rsplit("/", 1)[-1]
    return [
        path,
        f"{path}/",
        f"{path}//",
        f"/{path}",
        path.replace("/", "//"),
        bare,
        f"/openai{path}",
        f"/server{path}",
        f"/server/openai{path}",
        f"/server//openai/{path}",
        path.upper(),
        path.title(),
        path.replace("/", "/./"),
        f"/health/..{path}",
        f"/v1/../{path}",
        f"{path}/.",
        f"{path}/..",
        f"{path}%2f",
        path.replace("/", "%2F"),
        f"/%76%31{bare}",
        f"{path}%00",
        f"{path};a=b",
        f"{path}?key=x&api_key=y",
        f"{path}#{last}",
        f"{path}\\",
    ]


async def _keys(target: Target) -> dict[str, str]:
    """Keys by what is wrong with them, the empty one being none at all; those that are right by their only scope."""
    settings = Settings(data_dir=target.folder / "data")
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        account = (await administration.create_account("spellings", metered=False))[0].id
        revoked = await accounts.create_key(account=account)
        await accounts.revoke_key(revoked.record.id)
        soon = datetime.now(UTC) + timedelta(seconds=1)
        expired = await accounts.create_key(account=account, expires_at=soon)
        scoped = {
            scope: (await accounts.create_key(account=account, scopes=frozenset((scope,)))).key for scope in SCOPES
        }
    await asyncio.sleep(1.5)
    wrong = f"{target.key[:-4]}AAAA"
    return {
        "none": "",
        "wrong": wrong,
        "revoked": revoked.key,
        "expired": expired.key,
        **scoped,
    }


def _concrete(path: str) -> str:
    return path.replace("{name}", "a").replace("{model_id}", "chat").replace("{", "").replace("}", "")


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    with served(folder, configs=fake_models(folder)) as target:
        keys = await _keys(target)
        async with target.client() as client:
            document: dict[str, Any] = (await client.get("/openapi.json")).json()
        asked = [
            (method, spelled, kind)
            for path, operations in document["paths"].items()
            for method in METHODS
            for spelled in spellings(_concrete(path))
            for kind in keys
            if kind not in _enough(operations)
        ]
        asked = asked[::50] if quick else asked
        gate = asyncio.Semaphore(AT_ONCE)
        statuses: Counter[int] = Counter()
        let_in: list[str] = []

        async def one(method: str, path: str, kind: str) -> None:
            async with gate:
                answer = await ask(target.url, method.upper(), path, key=keys[kind], body=b"{}")
            statuses[answer.status] += 1
            if answer.status < 400 or (answer.status == 400 and b'"error"' in answer.body and _looked(answer.body)):
                let_in.append(f"{method} {path} ({kind}): {answer.status}")

        await asyncio.gather(*(one(*request) for request in asked))
        told = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
        measured = f"{len(asked):,} requests: {told}; {len(let_in)} let in" + (f" ({let_in[0]})" if let_in else "")
        yield Row("every route in 25 spellings by keys that may not pass", measured, "none let in", not let_in)


def _enough(operations: dict[str, Any]) -> set[str]:
    """The scopes of which a path's operations want one; all kinds of keys where one of them needs none."""
    keyed = [operation.get("security") for name, operation in operations.items() if name in METHODS]
    if not all(keyed):
        return {"none", "wrong", "revoked", "expired", *SCOPES}
    return {scope for wanted in keyed for found in wanted for scopes in found.values() for scope in scopes}


def _looked(body: bytes) -> bool:
    """Whether an answer of 400 tells that the request was read: a check of rights comes before that."""
    return b"missing_required_parameter" in body or b"invalid_type" in body


async def main() -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as name:
        async for row in rows(Path(name)):
            print(row)


if __name__ == "__main__":
    asyncio.run(main())
