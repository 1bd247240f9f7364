"""A backup while a real server works: of one moment, with books that add up, and a server restored from it."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.faults.served import ASK, COST, charged, lines, payer, post, sagehold, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

CALLS = 500


async def test_in_the_midst_of_500_requests(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    settings = settings_in(tmp_path, url)
    one = await payer(settings, "one", CALLS * COST)
    file = tmp_path / "b.tar"
    with serving(tmp_path, url) as served:
        answers = asyncio.gather(*(post(f"{served.url}/v1/chat/completions", one.key, ASK) for _ in range(CALLS)))
        await asyncio.to_thread(sagehold, settings, "backup", str(file))
        assert [status for status, _, _ in await answers] == CALLS * [200]
        served.stop()
    assert charged(await lines(settings, one.account)) == CALLS * [COST]
    there = tmp_path / "there"
    again = f"sqlite+aiosqlite:///{there / 'data' / 'sagehold.db'}"
    copy = settings_in(there, again)
    sagehold(copy, "restore", str(file))
    paid = charged(await lines(copy, one.account))  # fails unless they sum up
    assert len(paid) <= CALLS
    # As if it came when the server of the backup had been silent for long enough: its holds are given back.
    with serving(there, again, silence=0) as served:
        headers = {"Authorization": f"Bearer {one.key}"}
        answer = httpx.get(f"{served.url}/v1/credits", headers=headers, trust_env=False, timeout=60).json()
        assert (answer["balance"], answer["held"]) == (float((CALLS - len(paid)) * COST), 0)
        served.stop()
    assert "Traceback" not in (there / "log").read_text()
