"""What is refused: the SDK's own exceptions, with code and parameter, and the same envelope from everywhere."""

from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.live import LiveServer, until

HELLO: Any = [{"role": "user", "content": "Hello"}]


def chat(**body: Any) -> Callable[[OpenAI], Any]:
    return lambda sdk: sdk.chat.completions.create(**({"model": "gpt-4o-mini", "messages": HELLO} | body))


REFUSED: dict[str, tuple[Callable[[OpenAI], Any], type[openai.APIStatusError], int, str | None, str | None]] = {
    "wrong key": (
        lambda sdk: sdk.with_options(api_key="sk-sage-wrong").models.list(),
        openai.AuthenticationError, 401, "invalid_api_key", None,
    ),
    "unknown model": (chat(model="no/such"), openai.NotFoundError, 404, "model_not_found", None),
    "model of another task": (chat(model="whisper-1"), openai.NotFoundError, 404, "model_not_found", None),
    "unknown model retrieved": (
        lambda sdk: sdk.models.retrieve("a/b"), openai.NotFoundError, 404, "model_not_found", None,
    ),
    "value out of range": (chat(temperature=5), openai.BadRequestError, 400, "invalid_value", "temperature"),
    "value of a wrong type": (chat(max_tokens="many"), openai.BadRequestError, 400, "invalid_type", "max_tokens"),
    "no messages": (chat(messages=[]), openai.BadRequestError, 400, None, "messages"),
    "unknown function": (
        chat(tools=[{"type": "function", "function": {"name": "f"}}],
             tool_choice={"type": "function", "function": {"name": "g"}}),
        openai.BadRequestError, 400, None, "tool_choice",
    ),
    "functions and tools": (
        chat(tools=[{"type": "function", "function": {"name": "f"}}], functions=[{"name": "f"}]),
        openai.BadRequestError, 400, None, "functions",
    ),
    "impossible schema": (
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}),
        openai.BadRequestError, 400, None, "response_format",
    ),
    "image by url": (
        chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}]}]),
        openai.BadRequestError, 400, None, "messages[0].content[0].image_url.url",
    ),
    "too long a prompt": (
        chat(messages=[{"role": "user", "content": "word " * 9000}]),
        openai.BadRequestError, 400, "context_length_exceeded", "messages",
    ),
    "too long a prompt, streamed": (
        chat(messages=[{"role": "user", "content": "word " * 9000}], stream=True),
        openai.BadRequestError, 400, "context_length_exceeded", "messages",
    ),
    "unknown url": (
        lambda sdk: sdk.post("/no/such/thing", body={}, cast_to=object), openai.NotFoundError, 404, "unknown_url", None,
    ),
    "wrong method": (
        lambda sdk: sdk.delete("/chat/completions", cast_to=object),
        openai.APIStatusError, 405, "method_not_supported", None,
    ),
    "nothing to say": (
        lambda sdk: sdk.audio.speech.create(model="tts-1", voice="alloy", input=""),
        openai.BadRequestError, 400, None, "input",
    ),
    "unknown voice": (
        lambda sdk: sdk.audio.speech.create(model="tts-1", voice="nobody", input="Hello."),
        openai.BadRequestError, 400, None, "voice",
    ),
    "no sound": (
        lambda sdk: sdk.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"no sound at all")),
        openai.BadRequestError, 400, None, "file",
    ),
    "too big a file": (
        lambda sdk: sdk.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(26_214_401))),
        openai.APIStatusError, 413, None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_sdk_raises_what_it_raises_for_openai(sdk: OpenAI, server: LiveServer, name: str) -> None:
    act, kind, status, code, param = REFUSED[name]
    with pytest.raises(kind) as caught:
        act(sdk)
    error = caught.value
    assert (error.status_code, error.param) == (status, param)
    if code is not None or status >= 404:
        assert error.code == code
    envelope = error.response.json()["error"]
    assert set(envelope) == {"message", "type", "param", "code"}
    assert not [leak for leak in ("Traceback", ".py", "/models", "vllm") if leak in envelope["message"]]
    assert error.request_id is not None
    assert until(lambda: server.lines(str(error.request_id)), "the refusal is in the log", within=10)


POSTED: dict[str, tuple[dict[str, str], bytes, int, str | None]] = {
    "malformed json": ({"content-type": "application/json"}, b'{"model": ', 400, "invalid_json"),
    "no object": ({"content-type": "application/json"}, b"[]", 400, "invalid_type"),
    "wrong content type": ({"content-type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
    "bytes that are no text": ({"content-type": "application/json"}, b"\xff\xfe", 400, "invalid_json"),
}


@pytest.mark.parametrize("name", POSTED)
def test_malformed_bodies_get_the_envelope(http: httpx.Client, name: str) -> None:
    headers, body, status, code = POSTED[name]
    answer = http.post("/v1/chat/completions", headers=headers, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-request-id"].startswith("req_")


def test_without_a_key_nothing_is_told(server: LiveServer) -> None:
    for path in ("/v1/models", "/v1/audio/voices", "/server/v1/models"):
        answer = httpx.get(server.url + path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["type"]) == (401, None, "invalid_request_error")
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("prefix", ["/v1", "/server/v1", "/openai/v1", "/server/openai/v1", "//v1/"])
def test_every_mount_answers(http: httpx.Client, server: LiveServer, prefix: str) -> None:
    answer = http.get(f"{server.url}{prefix}/models/")
    assert answer.status_code == 200
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.json()["object"] == "list"
