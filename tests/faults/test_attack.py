"""Many requests at once on credit for few, over HTTP, on a real server that may be killed in the midst of them."""

import asyncio
import json
import time
from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import anyio
import httpx
import pytest

from tests.faults.served import ASK, COST, Served, charged, lines, payer, post, sagehold, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

CALLS, PAID = 500, 20
GRANTED = PAID * COST


async def attack(served: Served, key: str) -> Counter[int]:
    """CALLS chats at once, each by a connection of its own. Returns how many had which status, 0 for a torn answer."""

    async def ask() -> int:
        try:
            status, headers, body = await post(f"{served.url}/v1/chat/completions", key, ASK)
        except (ConnectionError, asyncio.IncompleteReadError):
            return 0
        if status == 200:
            assert body["usage"]["credits"] == float(COST)
        else:
            assert body["error"]["code"] == "insufficient_credits"
            assert headers["x-should-retry"] == "false"
        return status

    return Counter(await asyncio.gather(*(ask() for _ in range(CALLS))))


async def credits_of(served: Served, key: str) -> dict[str, Decimal]:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        answer = await client.get(f"{served.url}/v1/credits", headers={"Authorization": f"Bearer {key}"})
    row = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)
    return {name: row[name] for name in ("balance", "held")}


async def test_500_at_once_on_credit_for_20(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", GRANTED)
    with serving(tmp_path, database_url) as served:
        assert await attack(served, one.key) == {200: PAID, 402: CALLS - PAID}
        assert await credits_of(served, one.key) == {"balance": 0, "held": 0}
        entries = await lines(settings, one.account)
        assert charged(entries) == PAID * [COST]
        assert sum(amount for _, amount in entries) == 0
        exported = json.loads(sagehold(settings, "ledger", "export", "--json"), parse_float=Decimal, parse_int=Decimal)
        assert [(entry["kind"], entry["amount"]) for entry in exported] == entries
        served.stop()
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_killed_in_the_midst_and_started_again(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", GRANTED)

    def kill_soon() -> None:
        """When the server's own log tells of some answers: the clients, busy as they are, know too late."""
        answered = 0
        with (tmp_path / "log").open() as log:
            while answered < 50:
                if line := log.readline():
                    answered += "/v1/chat/completions status=" in line
                else:
                    time.sleep(0.001)
        served.kill()

    with serving(tmp_path, database_url) as served:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
            for _ in range(3):
                assert (await post(f"{served.url}/v1/chat/completions", one.key, ASK))[0] == 200
            for _ in range(5):  # streams whose holds are open when it dies
                body = {**ASK, "model": "stuck", "stream": True}
                headers = {"Authorization": f"Bearer {one.key}"}
                asked = client.stream("POST", f"{served.url}/v1/chat/completions", json=body, headers=headers)
                assert (await stack.enter_async_context(asked)).status_code == 200
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, kill_soon)
                first = await attack(served, one.key)
    assert first[0] > 0, "nothing was in flight when it died"
    available = sum(amount for _, amount in await lines(settings, one.account))
    # As if it came when the dead one had been silent for long enough.
    with serving(tmp_path, database_url, silence=0) as served:
        left = await credits_of(served, one.key)
        paid = charged(await lines(settings, one.account))
        assert left == {"balance": GRANTED - sum(paid), "held": 0}
        assert left["balance"] >= available + 5 * COST, "the streams' holds were not given back"
        # Who was answered has paid. Who was not may have: the connection died when the answer was made.
        assert 3 + first[200] <= len(paid) <= PAID - 5
        second = await attack(served, one.key)
        assert second == {200: PAID - len(paid), 402: CALLS - PAID + len(paid)}
        assert await credits_of(served, one.key) == {"balance": 0, "held": 0}
        assert charged(await lines(settings, one.account)) == PAID * [COST]
        served.stop()
    log = (tmp_path / "log").read_text()
    assert "holds of server processes that died" in log
    assert "Traceback" not in log
