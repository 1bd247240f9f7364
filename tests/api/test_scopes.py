"""Who may call what: every route says which scopes it wants, and each key gets exactly that."""

import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute

from server.core import Caller
from server.settings import Settings
from server.testing import FakeServer

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

OPEN_TO_ALL = {"/health", "/version", "/ready", "/metrics", "/openapi.json", "/v1/images/{file}"}
OPEN_TO_ALL |= {"/server/get-models", "/user/get-token-with-api-key"}
OPEN_TO_ALL |= {"/", "/playground", "/console", "/assets/{folder}/{name:path}"}
OWN = {"/v1/key", "/v1/credits", "/v1/usage"}


def declared(route: APIRoute) -> frozenset[str] | None:
    """The scopes that a route wants, any of them; None where nothing is declared."""
    found: list[frozenset[str]] = [
        call.scopes for one in route.dependant.dependencies if hasattr(call := one.call, "scopes")
    ]
    assert len(found) <= 1, route.path
    return found[0] if found else None


def api_routes(fake: FakeServer) -> list[APIRoute]:
    assert all(isinstance(route, APIRoute) for route in fake.app.routes), "a route that is not understood"
    return [route for route in fake.app.routes if isinstance(route, APIRoute)]


async def test_every_route_declares_its_scopes_or_is_public(fake: FakeServer) -> None:
    for route in api_routes(fake):
        scopes = declared(route)
        if route.path in OPEN_TO_ALL:
            assert scopes is None, route.path
        elif route.path.startswith(("/admin/", "/user/admin-")):
            assert scopes == {"admin"}, route.path
        elif route.path in OWN:
            assert scopes == {"inference", "usage"}, route.path
        else:
            assert scopes == {"inference"}, route.path


@pytest.mark.parametrize(
    ("scopes", "effective"),
    [
        ({"inference"}, {"inference"}),
        ({"usage"}, {"usage"}),
        ({"admin"}, {"admin", "usage"}),
        ({"admin", "inference"}, {"admin", "usage", "inference"}),
    ],
)
async def test_a_key_gets_what_its_scopes_say(office: "Office", scopes: set[str], effective: set[str]) -> None:
    async with office.fake.client(key=await office.key(*scopes)) as client:
        for route in api_routes(office.fake):
            wanted = declared(route)
            for method in route.methods:
                answer = await client.request(method, re.sub(r"{[^}]*}", "x", route.path), content=b"{")
                if route.path == "/user/get-token-with-api-key":
                    continue  # its key is in its body
                if wanted is None or wanted & effective:
                    assert answer.status_code not in (401, 403, 500), f"{method} {route.path}"
                else:
                    assert answer.status_code == 403, f"{method} {route.path}"
                    assert method == "HEAD" or b'"permission_denied"' in answer.content


async def test_no_key_and_a_wrong_one_get_401_from_all_of_them(office: "Office") -> None:
    for key in (None, "sk-sage-wrong-wrong-wrong"):
        async with office.fake.client(key=key) as client:
            for route in api_routes(office.fake):
                if route.path not in OPEN_TO_ALL:
                    method = min(route.methods)
                    answer = await client.request(method, re.sub(r"{[^}]*}", "x", route.path), content=b"{")
                    assert answer.status_code == 401, f"{method} {route.path}"


async def test_without_auth_administration_still_needs_a_key(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"auth": "off"})) as fake:
        fake.accounts.keys = {  # type: ignore[attr-defined]
            "sk-sage-of-an-admin": Caller("key_a", "acct_a", scopes=frozenset({"admin"}))
        }
        async with fake.client(key=None) as client:
            assert (await client.get("/v1/models")).status_code == 200
            assert (await client.get("/admin/v1/keys")).status_code == 401
        async with fake.client(key="sk-sage-of-an-admin") as client:
            answer: Any = await client.get("/admin/v1/keys")
        assert answer.status_code == 503  # let in; a server over fakes keeps no accounts
        assert answer.json()["error"]["message"] == "This server keeps no accounts."


async def test_what_is_for_a_key_alone_is_kept_in_no_cache(office: "Office") -> None:
    """Of keys, money, settings and documents: not by a browser, nor by a proxy between."""
    own = (*sorted(OWN), "/v1/datasets", "/v1/files")
    paths = [route.path for route in api_routes(office.fake) if "GET" in route.methods and "{" not in route.path]
    tried = [path for path in paths if path.startswith("/admin/v1/") or path in own]
    assert len(tried) > 12
    async with office.fake.client(key=await office.key("admin", "inference", account="default")) as client:
        for path in tried:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers.get("cache-control")) == (200, "no-store"), path


PAGE = "https://page.example"


@pytest.mark.parametrize(
    ("origins", "site", "allowed"),
    [
        ((), "cross-site", False),
        ((), "same-origin", True),
        ((), "same-site", True),
        ((), "none", True),
        ((), None, True),
        ((PAGE,), "cross-site", True),
        (("https://other.example",), "cross-site", False),
        (("*",), "cross-site", True),
    ],
)
async def test_without_auth_pages_of_other_sites_may_not_use_the_models(
    settings: Settings, origins: tuple[str, ...], site: str | None, allowed: bool
) -> None:
    """A browser sends a body without a type, or a form, from any page: it asks nobody before."""
    headers = {"origin": PAGE} | ({} if site is None else {"sec-fetch-site": site})
    changed = settings.model_copy(update={"auth": "off", "cors_origins": origins})
    async with FakeServer(changed) as fake, fake.client(key=None) as client:
        body = b'{"model": "fake-chat", "messages": [{"role": "user", "content": "Hi"}]}'
        answer = await client.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == (200 if allowed else 403), answer.text
        if not allowed:
            assert "SAGEHOLD_CORS_ORIGINS" in answer.json()["error"]["message"]
        # What changes nothing, and is not shown to that page: such as a link that somebody follows.
        assert (await client.get("/v1/models", headers=headers)).status_code == 200
