"""A Redis that is not there: at the start one line, later an outage that /ready knows and that ends by itself."""

import asyncio
import logging
from pathlib import Path

import pytest

from server.accounts.limits.limiter import LimitsError, RateLimiter
from server.accounts.limits.redis_windows import RedisWindows
from server.core import Caller, Limits
from server.errors import Unavailable

pytestmark = pytest.mark.anyio

LIMITED = Caller("key_1", "acct_1", limits=Limits(requests_per_minute=3))


class Redis:
    """As little of one as answers PING, and refuses a password if it wants one."""

    def __init__(self, path: Path, refuses: bool = False, silent: bool = False) -> None:
        self._path, self._refuses, self._silent = path, refuses, silent

    async def __aenter__(self) -> "Redis":
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if self._silent or not line.startswith(b"*"):
                continue
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2].upper())
            if self._refuses:
                writer.write(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
            else:
                writer.write(b"+PONG\r\n" if words[0] == b"PING" else b"+OK\r\n")
        writer.close()


async def test_without_it_the_start_ends_with_one_line(tmp_path: Path) -> None:
    limiter = RateLimiter(f"redis+unix://{tmp_path / 'nobody.sock'}")
    with pytest.raises(LimitsError) as raised:
        await limiter.check()
    line = str(raised.value)
    assert line.startswith(f"SAGEHOLD_LIMITS_URL: Redis at {tmp_path}/nobody.sock does not answer: ")
    assert "\n" not in line
    await limiter.aclose()


async def test_a_wrong_password_is_named_and_not_shown(tmp_path: Path) -> None:
    async with Redis(tmp_path / "r.sock", refuses=True):
        limiter = RateLimiter(f"redis+unix://:secret-word@{tmp_path / 'r.sock'}")
        with pytest.raises(LimitsError, match=r"(?i)password") as raised:
            await limiter.check()
        assert "secret-word" not in str(raised.value)
        await limiter.aclose()


async def test_one_that_hangs_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.accounts.limits.redis_windows.WAIT", 0.05)
    async with Redis(tmp_path / "r.sock", silent=True):
        limiter = RateLimiter(f"redis+unix://{tmp_path / 'r.sock'}")
        with pytest.raises(LimitsError, match=r"(?i)time"):
            await limiter.check()
        with pytest.raises(Unavailable):
            async with limiter.admit(LIMITED):
                pytest.fail("its limits are unknown")
        windows = limiter._windows
        assert isinstance(windows, RedisWindows)
        options = windows._redis.connection_pool.connection_kwargs
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.05, 0.05)
        await limiter.aclose()


async def test_its_end_is_told_once_and_so_is_its_return(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    limiter = RateLimiter(f"redis+unix://{tmp_path / 'r.sock'}")
    await limiter.look()
    await limiter.look()
    assert limiter.trouble is not None
    async with Redis(tmp_path / "r.sock"):
        await limiter.look()
        assert limiter.trouble is None
        await limiter.aclose()
    told = [record.getMessage() for record in caplog.records if "limiter" in record.name]
    assert len(told) == 2
    assert "requests of callers with limits are refused" in told[0]
    assert told[1] == "Redis answers again"


async def test_counts_in_memory_are_always_there() -> None:
    limiter = RateLimiter()
    await limiter.check()
    await limiter.keep_watch(every=0)  # there is nothing to watch: it returns
    assert limiter.trouble is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:secret-word@h:port/0", "it can't be read as a URL: "),
        ("redis://:secret-word/1@h", "it can't be read as a URL: "),
        ("redis://:secret-word@[::1", "it can't be read as a URL: "),
        ("redis://:secret-word@127.0.0.1:1?socket_timeout=x", "it can't be read as a URL: "),
        ("redis://:secret-word@127.0.0.1:1?nonsense=1", "it has a parameter that there isn't: "),
        ("redis://:secret-word@:1", "Redis at localhost:1 does not answer: "),
    ],
)
async def test_a_url_that_makes_no_sense_is_one_line(url: str, words: str) -> None:
    with pytest.raises(LimitsError) as raised:
        await RateLimiter(url).check()
    assert str(raised.value).startswith(f"SAGEHOLD_LIMITS_URL: {words}")
    assert "secret-word" not in str(raised.value)
