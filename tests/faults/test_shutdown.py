"""The end of a real server with requests in flight: no hold outlives it, and nobody pays for what was not given."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.faults.served import ASK, COST, Served, lines, payer, post, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

STUCK = {**ASK, "model": "stuck"}


class Client(httpx.AsyncClient):
    def __init__(self, served: Served, key: str) -> None:
        super().__init__(base_url=f"{served.url}/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False)

    def chat(self, **body: object) -> httpx.Request:
        return self.build_request("POST", "/chat/completions", json={**STUCK, **body}, timeout=60)


async def held(client: Client, amount: Decimal) -> None:
    """Return once so much is held."""
    async with asyncio.timeout(60):
        while json.loads((await client.get("/credits")).text, parse_float=Decimal)["held"] != amount:
            await asyncio.sleep(0.01)


async def test_sigterm_gives_holds_back_and_bills_who_has_left(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, database_url, grace=0.5) as served:
        async with Client(served, one.key) as client:
            stream = await client.send(client.chat(stream=True), stream=True)
            pieces = stream.aiter_lines()
            while "Hello" not in await anext(pieces):
                pass
            whole = asyncio.create_task(client.send(client.chat()))
            left = await client.send(client.chat(stream=True), stream=True)
            others = left.aiter_lines()
            while "Hello" not in await anext(others):
                pass
            await held(client, 3 * COST)
            await left.aclose()  # this one pays for its prompt and its one token
            await held(client, 2 * COST)
            served.stop()
            outcome = await asyncio.gather(whole, return_exceptions=True)
            assert outcome
            with pytest.raises(httpx.RemoteProtocolError):  # torn, not ended
                await _end(pieces)
            await stream.aclose()
    entries = await lines(settings, one.account)
    assert Counter(kind for kind, _ in entries) == {"grant": 1, "hold": 3, "release": 3, "charge": 1}
    assert sum(amount for _, amount in entries) == 100 - Decimal("1.2")
    log = (tmp_path / "log").read_text()
    assert "not closed yet" not in log
    assert "could not" not in log


async def _end(pieces: AsyncIterator[str]) -> None:
    async for line in pieces:
        assert "[DONE]" not in line


async def test_without_keys_nobody_pays(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    settings = settings_in(tmp_path, url)
    one = await payer(settings, "one", 0)
    with serving(tmp_path, url, auth="off") as served:
        status, headers, body = await post(f"{served.url}/v1/chat/completions", one.key, ASK)
        assert status == 200
        assert "credits" not in body["usage"]
        assert not [name for name in headers if name.startswith("x-ratelimit")]
        served.stop()
    assert await lines(settings, one.account) == []
