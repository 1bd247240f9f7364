"""Whatever refuses a request, and wherever it fails, the answer is in the words of the request's own dialect."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from server.api.dialect import Dialects
from server.api.openai.dialect import DONE, OPENAI
from server.core import Task
from server.settings import Settings
from server.testing import KEY, FakeServer
from tests.api.two_dialects import PLAIN, speak_both

pytestmark = pytest.mark.anyio

CHAT = {"model": "fake-chat", "messages": [{"role": "user", "content": "hi"}], "stream": True}
BODY = orjson.dumps(CHAT)
DIALECTS = ["openai", "plain"]
PREFIX = {"openai": "/v1/test", "plain": "/plain"}
KEYS = {"openai": {"authorization": f"Bearer {KEY}"}, "plain": {"x-access-tokens": KEY}}


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    async with FakeServer(settings) as server:
        speak_both(server)
        yield server


async def answer(
    fake: FakeServer, dialect: str, path: str = "/ask", *, body: bytes = BODY, method: str = "POST", key: Any = None
) -> tuple[int, dict[str, str], bytes]:
    headers = {"content-type": "application/json", **(KEYS[dialect] if key is None else key)}
    # `authorization` is there by default: empty, it is no key.
    async with fake.exchange(
        method, PREFIX[dialect] + path, body=body, headers={"authorization": "", **headers}
    ) as sent:
        status = await sent.start()
        content = b""
        while (chunk := await sent.chunk()) is not None:
            content += chunk
    return status, sent.headers, content


def check_refusal(dialect: str, got: tuple[int, dict[str, str], bytes], status: int, message: str) -> None:
    fields = orjson.loads(got[2])
    if dialect == "plain":
        assert got[0] == 200
        assert fields == {"status": status, "response": message}
        assert "openai-version" not in got[1]
    else:
        assert got[0] == status
        assert fields["error"]["message"] == message
        assert got[1]["openai-version"] == "2020-10-01"
    assert got[1]["x-request-id"].startswith("req_")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_key_is_looked_for_where_the_dialect_has_it(fake: FakeServer, dialect: str) -> None:
    other = KEYS["plain" if dialect == "openai" else "openai"]
    got = await answer(fake, dialect, key=other)
    check_refusal(dialect, got, 401, orjson.loads(got[2]).get("response") or orjson.loads(got[2])["error"]["message"])
    assert ("www-authenticate" in got[1]) is (dialect == "openai")
    wrong = {name: value + "x" for name, value in KEYS[dialect].items()}
    check_refusal(dialect, await answer(fake, dialect, key=wrong), 401, "Incorrect API key provided.")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_the_router_refuses(fake: FakeServer, dialect: str) -> None:
    unknown = await answer(fake, dialect, "/nothing")
    check_refusal(dialect, unknown, 404, f"Invalid URL (POST {PREFIX[dialect]}/nothing)")
    method = await answer(fake, dialect, method="GET")
    check_refusal(dialect, method, 405, f"Not allowed to GET on {PREFIX[dialect]}/ask.")
    assert method[1]["allow"] == "POST"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_body_that_is_too_large(fake: FakeServer, dialect: str) -> None:
    got = await answer(fake, dialect, body=b" " * 1001)
    check_refusal(dialect, got, 413, "Maximum content size limit (1000) exceeded (1001 bytes read)")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_bug(fake: FakeServer, dialect: str) -> None:
    got = await answer(fake, dialect, "/broken")
    check_refusal(dialect, got, 500, "The server had an error while processing your request.")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_is_refused_before_its_first_byte(fake: FakeServer, dialect: str) -> None:
    fake.registry.failed["fake-chat"] = "no such layer"
    got = await answer(fake, dialect)
    check_refusal(dialect, got, 503, "no such layer")
    assert got[1]["retry-after"] == "5"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_error_within_a_stream(settings: Settings, dialect: str) -> None:
    async with FakeServer(settings, {Task.CHAT: {"die_after": 1}}) as fake:
        speak_both(fake)
        status, _, body = await answer(fake, dialect)
        assert status == 200
        message = "The model's engine stopped while it worked on this request. Please try again."
        if dialect == "plain":
            assert body.endswith(b"event: error\ndata: " + message.encode() + b"\n\n" + PLAIN.terminator)
        else:
            *_, event, done = body.removesuffix(b"\n\n").split(b"\n\n")
            assert orjson.loads(event.removeprefix(b"data: "))["error"]["message"] == message
            assert done + b"\n\n" == DONE
        assert fake.registry.leases == 0


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_ends_well(fake: FakeServer, dialect: str) -> None:
    status, headers, body = await answer(fake, dialect)
    assert status == 200
    assert headers["x-sagehold-model"] == "fake-chat"
    assert body.startswith(b'data: "')
    assert body.endswith(PLAIN.terminator)  # which this route renders, whatever its path


def test_a_path_is_its_dialects_by_whole_segments_and_otherwise_the_first_ones() -> None:
    dialects = Dialects(OPENAI, PLAIN)
    assert dialects.of("/plain") is dialects.of("/plain/ask") is PLAIN
    assert dialects.of("/plainer") is dialects.of("/v1/plain") is dialects.of("/health") is OPENAI


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_no_key_is_logged(fake: FakeServer, caplog: pytest.LogCaptureFixture, dialect: str) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = {name: value.replace(KEY, "sk-sage-of-nobody") for name, value in KEYS[dialect].items()}
    await answer(fake, dialect)
    await answer(fake, dialect, key=wrong)
    await answer(fake, dialect, "/broken")
    assert "unhandled error" in caplog.text
    assert KEY not in caplog.text
    assert "sk-sage-of-nobody" not in caplog.text
