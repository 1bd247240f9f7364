"""What every answer has, whatever route it came from: an id, an envelope, a door that is shut by default."""

import asyncio
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.paths import canonical
from server.core import Task
from server.errors import InsufficientCredits
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio

OPEN_TO_ALL = {"/health", "/version", "/ready", "/metrics", "/openapi.json", "/v1/images/{file}"}
OPEN_TO_ALL |= {"/server/get-models", "/user/get-token-with-api-key"}
OPEN_TO_ALL |= {"/", "/playground", "/console", "/assets/{folder}/{name:path}"}


# ---------------------------------------------------------------- the door


def routes(of: Any) -> Iterator[tuple[str, APIRoute]]:
    """Every route of the application with its full path, wherever it is nested."""
    for route in of.routes:
        if isinstance(route, APIRoute):
            yield route.path, route
        elif hasattr(route, "effective_candidates"):
            for context in route.effective_candidates():
                yield context.path, context.original_route
        else:
            assert isinstance(route, BaseRoute)
            pytest.fail(f"a route that is not understood: {route}")


@pytest.mark.parametrize("strict", [True, False])
async def test_every_route_is_shut_without_a_key(settings: Settings, strict: bool) -> None:
    """In the Ask Sage dialect a refusal may be told by the body alone."""
    async with FakeServer(settings.model_copy(update={"asksage_strict_status": strict})) as fake:
        table = list(routes(fake.app))
        assert {path for path, _ in table} >= {"/health", "/ready", "/v1/models", "/server/query", "/user/get-chats"}
        for key in (None, "sk-sage-wrong"):
            async with fake.client(key=key) as client:
                for path, route in table:
                    for method in route.methods:
                        answer = await client.request(method, re.sub(r"{[^}]*}", "x", path), content=b"{")
                        if path in OPEN_TO_ALL:
                            # A wrong token is refused even where none is needed.
                            assert path == "/server/get-models" or answer.status_code not in (401, 403), path
                        elif strict or not path.startswith(("/server/", "/user/")):
                            assert answer.status_code == 401, f"{method} {path} is open to everyone"
                        elif method != "HEAD":
                            told = answer.json()
                            assert told["response"].startswith("Token is invalid ["), f"{method} {path}"
                            assert (answer.status_code, told["status"]) == (200, 400), f"{method} {path}"


async def test_no_route_is_hidden_by_another(fake: FakeServer) -> None:
    served = [(path, method) for path, route in routes(fake.app) for method in route.methods]
    assert [one for one in sorted(set(served)) if served.count(one) > 1] == []


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic c2s6", KEY, f"Token {KEY}"])
async def test_a_missing_key_has_no_code(fake: FakeServer, header: str) -> None:
    async with fake.client(key=None) as client:
        answer = await client.get("/v1/models", headers={"authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", None)
    assert "Authorization header" in error["message"]


async def test_a_wrong_key_has_a_code_and_is_not_repeated(fake: FakeServer) -> None:
    async with fake.client(key="sk-very-secret") as client:
        answer = await client.get("/v1/models")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert "secret" not in answer.text


async def test_the_scheme_is_read_in_any_case(fake: FakeServer) -> None:
    async with fake.client(key=None) as client:
        assert (await client.get("/v1/models", headers={"authorization": f"bearer  {KEY} "})).status_code == 200


async def test_without_auth_no_key_is_asked_for(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"auth": "off"})) as fake, fake.client(key=None) as client:
        assert (await client.get("/v1/models")).status_code == 200


# ---------------------------------------------------------------- refusals


async def test_an_unknown_url_is_an_envelope(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/nothing?x=1")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "Invalid URL (POST /v1/nothing)",
        "type": "invalid_request_error",
        "param": None,
        "code": "unknown_url",
    }


async def test_a_wrong_method_is_an_envelope_and_says_what_is_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/models")
    assert answer.status_code == 405
    assert {method.strip() for method in answer.headers["allow"].split(",")} == {"GET", "HEAD"}
    assert answer.json()["error"]["code"] == "method_not_supported"


async def test_a_bug_is_a_bare_500_and_a_whole_log_entry(
    fake: FakeServer, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise RuntimeError("secret /path/to/somewhere")

    fake.catalog.public_models = broken  # type: ignore[method-assign]
    answer = await client.get("/v1/models")
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "message": "The server had an error while processing your request.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert answer.headers["x-request-id"].startswith("req_")
    assert "secret /path/to/somewhere" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_errors_own_headers_are_sent(fake: FakeServer, client: httpx.AsyncClient) -> None:
    def poor() -> Any:
        raise InsufficientCredits

    fake.catalog.public_models = poor  # type: ignore[method-assign]
    answer = await client.get("/v1/models")
    assert answer.status_code == 402
    assert answer.headers["x-should-retry"] == "false"


# ---------------------------------------------------------------- ids, headers, paths


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nothing", "/v1/models/no-such"])
async def test_every_answer_has_its_own_id(client: httpx.AsyncClient, path: str) -> None:
    first, second = await client.get(path), await client.post(path)
    for answer in (first, second):
        assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["openai-version"] == "2020-10-01"
        assert int(answer.headers["openai-processing-ms"]) >= 0
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/models/",
        "/v1//models",
        "//v1/models//",
        "/server/v1/models",
        "/openai/v1/models/",
        "/server/openai/v1//models",
    ],
)
async def test_all_mounts_and_slashes_lead_to_the_same_route(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(httpx.URL(f"http://test{path}"))
    assert answer.status_code == 200
    assert answer.json()["object"] == "list"


def test_only_whole_prefixes_are_taken_off() -> None:
    assert canonical("/server/v1x/models") == "/server/v1x/models"
    assert canonical("/openai/server/v1/models") == "/openai/server/v1/models"
    assert canonical("/server/models") == "/server/models"
    assert canonical("//") == "/"
    assert canonical("/v1/models/openai/v1/x") == "/v1/models/openai/v1/x"


# ---------------------------------------------------------------- CORS

PAGE = "https://page.example"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang,x-stainless-retry-count",
}


async def test_no_page_may_call_by_default(client: httpx.AsyncClient) -> None:
    assert "access-control-allow-origin" not in (await client.get("/v1/models", headers={"origin": PAGE})).headers
    assert "access-control-allow-origin" not in (await client.options("/v1/models", headers=PREFLIGHT)).headers


async def test_pages_of_listed_origins_may_call(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"cors_origins": (PAGE,)})) as fake, fake.client(key=None) as http:
        preflight = await http.options("/v1/chat/completions", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert "x-stainless-retry-count" in preflight.headers["access-control-allow-headers"]
        refused = await http.get("/v1/models", headers={"origin": PAGE})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in refused.headers["access-control-expose-headers"]
        stranger = await http.options("/v1/models", headers={**PREFLIGHT, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_even_a_500_can_be_read_by_the_page(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"cors_origins": (PAGE,)})) as fake, fake.client() as http:

        def broken() -> Any:
            raise RuntimeError

        fake.catalog.public_models = broken  # type: ignore[method-assign]
        answer = await http.get("/v1/models", headers={"origin": PAGE})
        assert answer.status_code == 500
        assert answer.headers["access-control-allow-origin"] == PAGE


# ---------------------------------------------------------------- what layers see


class Watching:
    """A layer that counts the messages that pass it on their way out."""

    def __init__(self, app: ASGIApp, seen: list[str]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            self._seen.append(message["type"])
            await send(message)

        await self._app(scope, receive, watched)


STREAM = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "fake-chat", **STREAM}),
        ("/v1/audio/speech", {"model": "fake-speech", "input": "one two"}),
    ],
)
async def test_no_layer_sees_the_body_of_a_stream(settings: Settings, path: str, body: dict[str, Any]) -> None:
    seen: list[str] = []
    async with FakeServer(settings.model_copy(update={"cors_origins": (PAGE,)})) as fake:
        fake.app.user_middleware.append(Middleware(Watching, seen=seen))
        headers = {"origin": PAGE}
        async with fake.exchange("POST", path, body=orjson.dumps(body), headers=headers) as sent:
            assert await sent.start() == 200
            while await sent.chunk() is not None:
                pass
    assert seen == ["http.response.start"]
    assert sent.headers["access-control-allow-origin"] == PAGE
    assert sent.headers["x-request-id"].startswith("req_")
    assert sent.headers["x-sagehold-model"] == body["model"]


# ---------------------------------------------------------------- operations


async def test_ready_follows_the_models(fake: FakeServer, client: httpx.AsyncClient) -> None:
    ready = await client.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["models"]["fake-chat"] == "ready"
    fake.registry.failed["fake-chat"] = "why"
    failed = await client.get("/ready")
    assert failed.status_code == 503
    assert failed.json() == {"status": "not ready", "models": ready.json()["models"] | {"fake-chat": "failed"}}
    assert (await client.get("/health")).json() == {"status": "ok"}


async def test_requests_are_counted_and_logged_with_their_id(
    fake: FakeServer, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    await client.get("/server/v1//models/fake-chat")
    await client.get("/nothing/at/all")
    [line, other] = [record for record in caplog.records if record.name == "sagehold.access"]
    facts = vars(line)["request"]
    assert facts["method"] == "GET"
    assert facts["path"] == "/server/v1//models/fake-chat"
    assert facts["status"] == 200
    assert facts["key"] == "key_test"
    assert vars(other)["request"]["status"] == 404
    assert KEY not in caplog.text
    exposition = (await client.get("/metrics")).text
    labels = 'model="",route="/v1/models/{model_id:path}",status="200"'
    assert f"sagehold_requests_total{{{labels}}} 1.0" in exposition
    assert 'sagehold_requests_total{model="",route="unknown",status="404"} 1.0' in exposition
    assert 'sagehold_model_state{model="fake-chat",state="ready"} 1.0' in exposition
    assert 'sagehold_running_jobs{model="fake-chat"} 0.0' in exposition


async def test_concurrent_requests_keep_their_own_ids(fake: FakeServer) -> None:
    async with fake.client() as client:
        answers = await asyncio.gather(*(client.get("/v1/models") for _ in range(50)))
    assert len({answer.headers["x-request-id"] for answer in answers}) == 50
    assert fake.engines[Task.CHAT].running == 0
