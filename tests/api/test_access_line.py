"""The log's line of a request that was refused, or failed once its answer had begun, has the error's code."""

import logging
from typing import Any

import pytest

from server.core import Task
from server.settings import Settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio

CHAT = {"model": "fake-chat", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "body", "key", "status", "code"),
    [
        ("/v1/chat/completions", CHAT, None, 401, "invalid_request_error"),
        ("/v1/chat/completions", CHAT, "sk-wrong", 401, "invalid_api_key"),
        ("/v1/chat/completions", {**CHAT, "model": "none"}, "", 404, "model_not_found"),
        ("/v1/nothing", {}, "", 404, "unknown_url"),
        ("/v1/chat/completions", {**CHAT, "n": 0}, "", 400, "invalid_value"),
    ],
)
async def test_a_refusal_tells_its_code(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: dict[str, Any],
    key: str | None,
    status: int,
    code: str,
) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    given = {} if key == "" else {"key": key}
    async with FakeServer(settings) as fake, fake.client(**given) as client:
        error = (await client.post(path, json=body)).json()["error"]
    [facts] = [vars(record)["request"] for record in caplog.records if record.name == "sagehold.access"]
    assert facts["status"] == status
    assert facts["code"] == (error["code"] or error["type"]) == code


async def test_a_stream_that_failed_tells_its_code(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    async with FakeServer(settings, {Task.CHAT: {"die_after": 1}}) as fake, fake.client() as client:
        answer = await client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    [facts] = [vars(record)["request"] for record in caplog.records if record.name == "sagehold.access"]
    assert facts["status"] == answer.status_code == 200
    assert f'"code":"{facts["code"]}"' in answer.text
