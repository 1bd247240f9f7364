"""Background responses of real servers: killed, ended in order, and seen from another server; and in a backup."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.served import COST, Served, charged, lines, payer, sagehold, serving, settings_in
from tests.faults.test_shutdown import BRIEF, assert_quiet

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ASK = {"input": "hello there", "max_output_tokens": 5, "background": True, "stream": True}
ENCRYPTED = "import os\nos.environ['SAGEHOLD_ENCRYPT_RESPONSES'] = 'true'\n"


class Client(httpx.AsyncClient):
    def __init__(self, served: Served, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        super().__init__(base_url=f"{served.url}/v1", headers=headers, trust_env=False, timeout=60)

    async def begin(self, model: str) -> str:
        """The id of a background response that has said its first word."""
        async with self.events("POST", "/responses", json={**ASK, "model": model}) as events:
            named = ""
            async for event in events:
                named = named or event["response"]["id"]
                if event["type"] == "response.output_text.delta":
                    return named
        raise AssertionError("it said nothing")

    async def kept(self, named: str) -> dict[str, Any]:
        response: dict[str, Any] = (await self.get(f"/responses/{named}")).raise_for_status().json()
        return response

    async def again(self, named: str) -> list[dict[str, Any]]:
        async with self.events("GET", f"/responses/{named}?stream=true") as events:
            return [event async for event in events]

    @asynccontextmanager
    async def events(self, method: str, path: str, **more: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        async with self.stream(method, path, **more) as answer:
            read = (json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: "))
            yield read

    async def held(self) -> float:
        return float((await self.get("/credits")).json()["held"])


async def test_a_killed_server_leaves_it_failed_and_its_hold_given_back(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, database_url) as served:
        async with Client(served, one.key) as client:
            named = await client.begin("stuck")
            assert await client.held() == float(COST)
            async with asyncio.timeout(10):
                while (await client.kept(named))["status"] != "in_progress":
                    await asyncio.sleep(0.01)
        served.kill()
    with serving(tmp_path, database_url, silence=0) as served:
        async with Client(served, one.key) as client:
            async with asyncio.timeout(30):
                while (response := await client.kept(named))["status"] == "in_progress" or await client.held():
                    await asyncio.sleep(0.01)
            assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
            events = await client.again(named)
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            assert (events[-1]["type"], events[-1]["response"]) == ("response.failed", response)
        served.stop()
    assert charged(await lines(settings, one.account)) == []


async def test_sigterm_waits_for_the_grace_and_fails_what_is_left(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, database_url, grace=5, models={"brief": BRIEF}) as served:
        async with Client(served, one.key) as client:
            stuck, brief = await client.begin("stuck"), await client.begin("brief")
        began = time.monotonic()
        await asyncio.to_thread(served.stop)
        assert 4.9 < time.monotonic() - began < 30
    assert_quiet(tmp_path)
    with serving(tmp_path, database_url) as served:
        async with Client(served, one.key) as client:
            assert (await client.kept(brief))["status"] == "completed"
            failed = await client.kept(stuck)
            assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
            assert await client.held() == 0
        served.stop()
    assert charged(await lines(settings, one.account)) == [5]


async def test_another_server_on_the_database_follows_and_cancels_it(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, database_url) as first, serving(tmp_path, database_url) as second:
        async with Client(first, one.key) as here, Client(second, one.key) as there:
            named = await here.begin("stuck")
            following = asyncio.create_task(there.again(named))
            async with asyncio.timeout(10):
                while (await there.kept(named))["status"] != "in_progress":
                    await asyncio.sleep(0.01)
            cancelled = (await there.post(f"/responses/{named}/cancel")).json()
            assert cancelled["status"] == "cancelled"
            assert cancelled["output"][0]["content"][0]["text"] == "Hello"
            assert await here.kept(named) == cancelled
            events = await following
            assert events[-1]["response"] == cancelled
            assert await here.again(named) == events
            assert await here.held() == 0
        first.stop()
        second.stop()
    (paid,) = charged(await lines(settings, one.account))
    assert 1 < paid < COST


async def test_what_is_kept_is_in_a_backup_encrypted_or_not(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    settings = settings_in(tmp_path, url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, url, changed=ENCRYPTED) as served:
        async with Client(served, one.key) as client:
            talk = (await client.post("/conversations", json={})).json()["id"]
            asked = {"model": "chat", "input": "hello", "conversation": talk}
            response = (await client.post("/responses", json=asked)).raise_for_status().json()
            items = (await client.get(f"/conversations/{talk}/items")).json()
            await asyncio.to_thread(sagehold, settings, "backup", str(tmp_path / "b.tar"))
        served.stop()
    assert b"Hello from" not in (tmp_path / "data" / "sagehold.db").read_bytes()
    there = tmp_path / "there"
    again = f"sqlite+aiosqlite:///{there / 'data' / 'sagehold.db'}"
    sagehold(settings_in(there, again), "restore", str(tmp_path / "b.tar"))
    with serving(there, again) as served:
        async with Client(served, one.key) as client:
            assert await client.kept(response["id"]) == response
            assert (await client.get(f"/conversations/{talk}/items")).json() == items
            more = {"model": "chat", "input": "on", "previous_response_id": response["id"]}
            assert (await client.post("/responses", json=more)).status_code == 200
        served.stop()
