"""What other servers have and this one does not: clients are told what to use instead."""

import httpx
import pytest

from server.api.openai.not_served import INSTEAD
from server.testing import FakeServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("method", "path", "family"),
    [
        ("POST", "/v1/assistants", "assistants"),
        ("POST", "/v1/threads/thread_1/runs", "threads"),
        ("GET", "/v1/fine_tuning/jobs", "fine_tuning"),
        ("POST", "/v1/vector_stores/vs_1/search", "vector_stores"),
        ("POST", "/openai/v1/uploads/upload_1/parts/", "uploads"),
        ("POST", "/v1/videos", "videos"),
    ],
)
@pytest.mark.parametrize("key", [True, False])
async def test_it_is_a_404_that_says_what_to_use_instead(
    fake: FakeServer, client: httpx.AsyncClient, method: str, path: str, family: str, key: bool
) -> None:
    answer = await client.request(method, path, headers={} if key else {"authorization": ""})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (404, "unknown_url", "invalid_request_error")
    assert error["message"].startswith(f"Invalid URL ({method} ")
    assert error["message"].endswith(INSTEAD[family])


async def test_what_it_names_is_there(client: httpx.AsyncClient) -> None:
    """A path that is recommended answers something else than an unknown URL."""
    named = {word.strip(".,;") for text in INSTEAD.values() for word in text.split() if word.startswith("/v1/")}
    for path in named - {"/v1/embeddings", "/v1/rerank"}:
        answer = await client.post(path, json={})
        assert answer.status_code in (400, 415), (path, answer.text)
