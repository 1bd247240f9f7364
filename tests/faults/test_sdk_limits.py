"""The OpenAI SDK, unmodified, at a real server's limits: what it raises, when it tries again, what it never repeats."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from server.core import Limits
from server.settings import Settings
from tests.faults.served import Served, payer, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]
SIX = {f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset") for kind in ("requests", "tokens")}


class Sdk:
    """A client, and every answer that it got, with the time it came."""

    def __init__(self, url: str, key: str, retries: int = 2) -> None:
        self.answers: list[tuple[float, httpx.Response]] = []
        self.answered = asyncio.Event()
        http = httpx.AsyncClient(trust_env=False, timeout=60, event_hooks={"response": [self._note]})
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries, http_client=http)

    async def _note(self, answer: httpx.Response) -> None:
        self.answers.append((time.monotonic(), answer))
        self.answered.set()

    @property
    def statuses(self) -> list[int]:
        return [answer.status_code for _, answer in self.answers]

    async def __aenter__(self) -> "Sdk":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return settings_in(folder, f"sqlite+aiosqlite:///{folder / 'data' / 'sagehold.db'}")


@pytest.fixture(scope="module")
def served(folder: Path, settings: Settings) -> Iterator[Served]:
    with serving(folder, settings.database) as server:
        yield server
        server.stop()


@pytest.fixture
async def stream(served: Served, settings: Settings) -> AsyncIterator[Sdk]:
    """A client whose key may have one request in flight."""
    one = await payer(settings, "one at a time", 100, limits=Limits(concurrent_requests=1))
    async with Sdk(served.url, one.key) as sdk:
        yield sdk


async def test_it_waits_as_long_as_the_header_says_and_then_succeeds(stream: Sdk) -> None:
    client = stream.client
    first = await client.chat.completions.create(model="stuck", messages=HELLO, max_tokens=5, stream=True)
    await anext(aiter(first))
    stream.answered.clear()
    second = asyncio.create_task(client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5))
    await stream.answered.wait()  # the refusal
    await first.close()
    assert (await second).choices[0].message.content == "Hello from the fake engine."
    began, *refusals, ended = stream.statuses  # more than one, if the server hears late of the first one's end
    assert (began, set(refusals), ended) == (200, {429}, 200)
    (refused, refusal), (served, _) = stream.answers[1:3]
    assert (refusal.headers["retry-after"], refusal.headers["retry-after-ms"]) == ("1", "1000")
    assert set(refusal.headers) >= SIX
    # By itself it would have tried again after half a second at most.
    assert served - refused >= 1.0


async def test_the_minutes_limit_is_a_rate_limit_error(served: Served, settings: Settings) -> None:
    limits = Limits(requests_per_minute=1, tokens_per_minute=1000)
    one = await payer(settings, "one a minute", 100, limits=limits)
    async with Sdk(served.url, one.key, retries=0) as sdk:
        await sdk.client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5)
        with pytest.raises(openai.RateLimitError) as raised:
            await sdk.client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5)
    assert raised.value.code == "rate_limit_exceeded"
    headers = raised.value.response.headers
    assert (headers["x-ratelimit-remaining-requests"], headers["x-ratelimit-remaining-tokens"]) == ("0", "993")
    assert 0 < int(headers["retry-after"]) <= 60
    assert (
        (int(headers["retry-after"]) - 1) * 1000 <= int(headers["retry-after-ms"]) <= int(headers["retry-after"]) * 1000
    )


async def test_it_does_not_try_again_where_the_money_is_gone(served: Served, settings: Settings) -> None:
    poor = await payer(settings, "poor", Decimal("1.5"))
    async with Sdk(served.url, poor.key, retries=5) as sdk:
        with pytest.raises(openai.APIStatusError) as raised:
            await sdk.client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5)
        assert sdk.statuses == [402]
    assert not isinstance(raised.value, openai.RateLimitError)
    assert (raised.value.type, raised.value.code) == ("insufficient_quota", "insufficient_credits")
    assert "5.2 credits" in raised.value.message
    assert "1.5 are left" in raised.value.message


async def test_every_answer_of_a_model_has_all_six_headers(served: Served, settings: Settings) -> None:
    one = await payer(settings, "one limit", 100, limits=Limits(requests_per_minute=100))
    async with Sdk(served.url, one.key) as sdk:
        client = sdk.client
        await client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5)
        async for _ in await client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5, stream=True):
            pass
        await client.audio.speech.create(model="speech", voice="alloy", input="Hi.")
        await client.audio.transcriptions.create(model="transcription", file=("a.wav", b"RIFF"))
        await client.images.generate(model="image", prompt="a cat")
        assert sdk.statuses == 5 * [200]
        for place, (_, answer) in enumerate(sdk.answers):
            assert set(answer.headers) >= SIX, answer.request.url
            assert answer.headers["x-ratelimit-remaining-requests"] == str(99 - place)
            assert answer.headers["x-ratelimit-remaining-tokens"] == "2147483647"
