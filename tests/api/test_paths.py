"""One set of routes for all the ways in which clients join base URLs and paths."""

import httpx
import pytest

from server.api.paths import canonical

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1//models/", "/v1/models"),
        ("/server/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/completions", "/v1/completions"),
        ("/models", "/v1/models"),
        ("/models/acme/chat:7b", "/v1/models/acme/chat:7b"),
        ("/embeddings", "/v1/embeddings"),
        ("/audio/speech", "/v1/audio/speech"),
        ("/images/generations/", "/v1/images/generations"),
        ("/tokenize", "/v1/tokenize"),
        # what is at the root, and what only looks alike
        ("/", "/"),
        ("/health", "/health"),
        ("/version", "/version"),
        ("/metrics", "/metrics"),
        ("/modelsets", "/modelsets"),
        ("/admin/v1/usage", "/admin/v1/usage"),
        ("/chatter", "/chatter"),
    ],
)
def test_a_path_has_one_form(path: str, found: str) -> None:
    assert canonical(path) == found


async def test_a_base_url_without_v1_is_answered(client: httpx.AsyncClient) -> None:
    body = {"model": "everything", "messages": [{"role": "user", "content": "hi"}]}
    assert (await client.post("/chat/completions", json=body)).json()["object"] == "chat.completion"
    assert (await client.get("/models")).json() == (await client.get("/v1/models")).json()
    refused = await client.get("/models/no-such")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    unknown = await client.get("/chat/nothing")
    assert unknown.json()["error"]["message"] == "Invalid URL (GET /chat/nothing)"


async def test_what_needs_no_key_needs_none(client: httpx.AsyncClient) -> None:
    from server import __version__

    del client.headers["Authorization"]
    assert (await client.get("/version")).json() == {"version": __version__}
    assert (await client.get("/models")).status_code == 401
