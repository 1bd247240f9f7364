"""A database that goes away under a real server: told within seconds, refused in bounded time, and back by itself."""

import asyncio
import resource
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests import postgres
from tests.faults.served import ASK, COST, Served, begun, charged, lines, payer, post, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


async def until(condition: Callable[[httpx.Response], bool], served: Served) -> httpx.Response:
    """The first answer of /ready for which it holds."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client, asyncio.timeout(60):
        while not condition(answer := await client.get(f"{served.url}/ready")):
            await asyncio.sleep(0.02)
    return answer


def down(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and "database" in answer.json().get("outages", {})


def up(answer: httpx.Response) -> bool:
    return answer.status_code == 200


async def chats(served: Served, key: str, count: int = 1) -> list[int]:
    answers = await asyncio.gather(*(post(f"{served.url}/v1/chat/completions", key, ASK) for _ in range(count)))
    for status, headers, body in answers:
        if status != 200:
            assert body["error"]["type"] == "service_unavailable_error"
            assert headers["retry-after"] == "5"
    return [status for status, _, _ in answers]


async def test_sqlite_locked_full_deleted_and_put_back(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    settings = settings_in(tmp_path, url)
    one = await payer(settings, "one", 100)
    path = tmp_path / "data" / "sagehold.db"
    with serving(tmp_path, url) as served:
        assert await chats(served, one.key) == [200]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = time.monotonic()
            assert await chats(served, one.key, 20) == 20 * [503]
            assert time.monotonic() - asked < 30  # one wait of three seconds; with a wait for each it would be 60
            await until(down, served)
            assert (
                await asyncio.to_thread(httpx.get, f"{served.url}/health", trust_env=False, timeout=60)
            ).status_code == 200
            other.execute("COMMIT")
        await until(up, served)
        assert await chats(served, one.key) == [200]
        unlimited = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
        log_of_writes = path.with_name("sagehold.db-wal").stat().st_size
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (log_of_writes, unlimited[1]))
        assert await chats(served, one.key, 5) == 5 * [503]  # to the server, the disk is full
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, unlimited)
        await until(up, served)
        path.rename(tmp_path / "away")
        told = await until(down, served)
        assert str(tmp_path) not in told.text
        assert await chats(served, one.key, 5) == 5 * [503]
        (tmp_path / "away").rename(path)
        await until(up, served)
        assert await chats(served, one.key) == [200]
        served.stop()
    assert charged(await lines(settings, one.account)) == 3 * [COST]
    log = (tmp_path / "log").read_text()
    assert log.count("was deleted under the running server") == 1
    assert log.count("is locked by another process") == 1
    assert "Traceback" not in log


async def test_deleted_for_good_the_server_stops_cleanly_and_does_not_start_again(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    one = await payer(settings_in(tmp_path, url), "one", 100)
    with serving(tmp_path, url) as served:
        for ending in ("", "-wal", "-shm"):
            (tmp_path / "data" / f"sagehold.db{ending}").unlink()
        await until(down, served)
        assert await chats(served, one.key) == [503]
        served.stop()
    with begun(tmp_path, url) as process:
        assert process.wait(60) == 2
    assert "sagehold.db is gone, and keys.secret shows that there was one" in (tmp_path / "log").read_text()
    assert not (tmp_path / "data" / "sagehold.db").exists()
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_postgresql_gone_and_back(tmp_path: Path) -> None:
    with postgres.serving() as server:
        url = server.create("outage")
        settings = settings_in(tmp_path, url)
        one = await payer(settings, "one", Decimal(100))
        where = f"--pgdata={server.folder / 'data'}"
        with serving(tmp_path, url) as served:
            assert await chats(served, one.key) == [200]
            # Not at once: these servers lose their last commits then, to be fast.
            server.run("pg_ctl", "stop", "--wait", "--mode=fast", where)
            assert await chats(served, one.key, 5) == 5 * [503]
            await until(down, served)
            server.run("pg_ctl", "start", "--wait", "--timeout=100", f"--log={server.folder / 'log'}", where)
            await until(up, served)
            assert await chats(served, one.key) == [200]
            served.stop()
        assert charged(await lines(settings, one.account)) == 2 * [COST]
        assert "Traceback" not in (tmp_path / "log").read_text()
