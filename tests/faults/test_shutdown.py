"""The end of a real server with requests in flight: no hold outlives it, and nobody pays for what was not given."""

import asyncio
import json
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.served import ASK, COST, Served, begun, charged, lines, payer, post, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

STUCK = {**ASK, "model": "stuck"}
SPOKEN = {"model": "muffled", "input": "hello there", "response_format": "pcm"}
MUFFLED = "name: muffled\nengine: fake\nserves: speech\noptions: {pause: 3600}\nprice: {character: 1}\n"
PATIENT = "from server.cli import ending\nending.FORCED = 60\n"
"""What is cut short is written down, however busy the machine is."""
BRIEF = "name: brief\nengine: fake\nserves: chat\noptions: {pause: 0.4}\nprice: {completion_token: 1}\n"


class Client(httpx.AsyncClient):
    def __init__(self, served: Served, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        super().__init__(base_url=f"{served.url}/v1", headers=headers, trust_env=False, timeout=60)

    def chat(self, **body: object) -> httpx.Request:
        return self.build_request("POST", "/chat/completions", json={**STUCK, **body}, timeout=60)

    @asynccontextmanager
    async def streaming(self, **body: object) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of a stream that has begun to answer."""
        stream = await self.send(self.chat(stream=True, **body), stream=True)
        try:
            pieces = stream.aiter_lines()
            while "Hello" not in await anext(pieces):
                pass
            yield pieces
        finally:
            await stream.aclose()


async def held(client: Client, amount: Decimal) -> None:
    """Return once so much is held."""
    async with asyncio.timeout(60):
        while json.loads((await client.get("/credits")).text, parse_float=Decimal)["held"] != amount:
            await asyncio.sleep(0.01)


async def until_refused(url: str) -> None:
    """Return once new connections are refused."""
    address = httpx.URL(url)
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.host, address.port)
            except ConnectionError:  # reset, where the listener closed in between
                return
            writer.close()


def assert_quiet(folder: Path) -> None:
    log = (folder / "log").read_text()
    for noise in ("Traceback", "could not", "not closed yet", "takes too long", "have not ended"):
        assert noise not in log, log


async def test_sigterm_gives_holds_back_and_bills_who_has_left(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, database_url, grace=0.5, models={"muffled": MUFFLED}) as served:
        async with Client(served, one.key) as client, client.streaming() as pieces:
            whole = asyncio.create_task(client.send(client.chat()))
            async with client.streaming():
                await held(client, 3 * COST)
            # This one has left, and pays for its prompt and its one token.
            await held(client, 2 * COST)
            asked = client.build_request("POST", "/audio/speech", json=SPOKEN, timeout=60)
            spoken = await client.send(asked, stream=True)
            served.stop()
            outcome = await whole
            assert outcome.status_code == 503
            assert outcome.json()["error"]["code"] == "server_shutting_down"
            assert (outcome.headers["connection"], outcome.headers["retry-after"]) == ("close", "5")
            *_, error, _, done, _ = [line async for line in pieces]  # ended, not torn
            assert json.loads(error.removeprefix("data: "))["error"]["code"] == "server_shutting_down"
            assert done == "data: [DONE]"
            with pytest.raises(httpx.RemoteProtocolError):  # torn: nobody shall take it for the whole file
                await spoken.aread()
            await spoken.aclose()
    entries = await lines(settings, one.account)
    assert Counter(kind for kind, _ in entries) == {"grant": 1, "hold": 4, "release": 4, "charge": 1}
    assert sum(amount for _, amount in entries) == 100 - Decimal("1.2")
    assert_quiet(tmp_path)


async def test_within_the_grace_answers_end_and_nothing_begins(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    settings = settings_in(tmp_path, url)
    one = await payer(settings, "one", 100)
    with serving(tmp_path, url, grace=60, models={"brief": BRIEF}, changed=PATIENT) as served:
        async with (
            Client(served, one.key) as client,
            Client(served, one.key) as idle,
            httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as probe,
        ):
            assert (await probe.get("/ready")).json()["status"] == "ready"
            assert (await idle.get("/credits")).status_code == 200
            async with client.streaming(model="brief") as brief, client.streaming() as stuck:
                served.process.send_signal(signal.SIGTERM)
                await until_refused(served.url)
                # The connection of the probe was kept open.
                ready = await probe.get("/ready")
                assert (ready.status_code, ready.json()["status"]) == (503, "stopping")
                assert (await probe.get("/health")).json() == {"status": "stopping"}
                assert [line async for line in brief][-2:] == ["data: [DONE]", ""]
                with pytest.raises(httpx.ConnectError):  # its connection was closed, and no new one can be had
                    await idle.get("/credits")
                refused = await probe.post("/v1/chat/completions", json=ASK)
                assert (refused.status_code, refused.headers["connection"]) == (503, "close")
                assert refused.json()["error"]["code"] == "server_shutting_down"
                assert served.process.poll() is None
                served.process.send_signal(signal.SIGINT)  # the second one: 60 s of grace are over
                assert served.process.wait(60) == 128 + signal.SIGINT
                *_, error, _, done, _ = [line async for line in stuck]
                assert "server_shutting_down" in error
                assert done == "data: [DONE]"
    entries = await lines(settings, one.account)
    assert Counter(kind for kind, _ in entries) == {"grant": 1, "hold": 2, "release": 2, "charge": 1}
    assert charged(entries) == [5]
    assert_quiet(tmp_path)


@pytest.fixture
def terminal() -> Iterator[None]:
    """SIGHUP as a terminal's programs have it: begun by nohup, tests and servers ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
def test_a_closed_terminal_is_an_end_as_any(tmp_path: Path) -> None:
    """Standard output is gone, and then comes SIGHUP."""
    with begun(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"listens on (\S+)", line):
                url = found[1]
                break
        process.stdout.close()
        process.stdout = None
        while httpx.get(f"{url}/ready", timeout=60, trust_env=False).status_code != 200:
            pass
        process.send_signal(signal.SIGHUP)
        assert process.wait(10) == 0
    assert_quiet(tmp_path)


def test_a_start_is_broken_off(tmp_path: Path) -> None:
    """In the midst of the migrations, which wait for a database that another process has locked."""
    file = tmp_path / "data" / "sagehold.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with begun(tmp_path, f"sqlite+aiosqlite:///{file}") as process:
            server = psutil.Process(process.pid)
            while not any(one.path == str(file) for one in server.open_files()):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0  # assert_quiet tells whether it was forced
    assert_quiet(tmp_path)


HANGING = """
from server.cli import http_server, serving
serving.AFTER_GRACE = 0.2
async def hang(*_):
    import time
    time.sleep(3600)
http_server.HttpServer._cut = hang
"""


async def test_what_hangs_at_the_end_is_left_behind(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'sagehold.db'}"
    with serving(tmp_path, url, grace=0, auth="off", changed=HANGING) as served:
        async with Client(served, "any") as client, client.streaming():
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(10) == 1
    assert "the end takes too long" in (tmp_path / "log").read_text()


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
