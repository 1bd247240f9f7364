"""What the URL of a generated picture begins with: nothing that only its client says."""

import httpx
import pytest
from starlette.requests import Request

from server.api.openai.own_address import base_url
from server.settings import Settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio


def request(host: str | None, *more: tuple[bytes, bytes], server: tuple[str, int] = ("10.0.0.7", 8000)) -> Request:
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    scope = {"type": "http", "scheme": "http", "path": "/", "query_string": b"", "server": server}
    return Request({**scope, "headers": [*headers, *more]})


KNOWN = {
    "localhost:9000": "http://localhost:9000",
    "127.0.0.1:8000": "http://127.0.0.1:8000",
    "[::1]:8000": "http://[::1]:8000",
    "LOCALHOST": "http://LOCALHOST",
    "localhost.": "http://localhost.",
    "10.0.0.7:8000": "http://10.0.0.7:8000",  # the address that the connection came to
    "models.example.com": "http://models.example.com",
    "models.example.com:8443": "http://models.example.com:8443",
}
FORGED = [
    "evil.example.com",
    "evil.example.com:8000",
    "localhost.evil.example.com",
    "localhost@evil.example.com",
    "evil.example.com#localhost",
    "evil.example.com/localhost",
    "evil.example.com?localhost",
    "models.example.com.evil.com",
    "0.0.0.0:8000",
    "[::]:8000",
    "[::1",
    "127.0.0.1 evil.example.com",
    "",
    "\xff",
]


@pytest.mark.parametrize(("host", "base"), KNOWN.items())
def test_a_known_host_is_kept(settings: Settings, host: str, base: str) -> None:
    listed = settings.model_copy(update={"public_hosts": ("Models.example.com",), "host": "0.0.0.0"})
    assert base_url(request(host), listed) == base


@pytest.mark.parametrize("host", FORGED)
def test_any_other_leaves_a_path(settings: Settings, host: str) -> None:
    listed = settings.model_copy(update={"public_hosts": ("models.example.com",), "host": "0.0.0.0"})
    assert base_url(request(host), listed) == ""


def test_what_a_proxy_may_have_said_is_not_believed(settings: Settings) -> None:
    forwarded = ((b"x-forwarded-host", b"evil.example.com"), (b"forwarded", b"host=evil.example.com"))
    assert base_url(request("localhost:1", *forwarded), settings) == "http://localhost:1"
    assert base_url(request("evil.example.com", (b"x-forwarded-host", b"localhost")), settings) == ""


def test_the_settings_win() -> None:
    settings = Settings(public_url="https://models.example.com/", public_hosts=("other.example.com",))
    assert base_url(request("other.example.com"), settings) == "https://models.example.com"


def test_hosts_are_read_with_commas() -> None:
    assert Settings(public_hosts="a.example.com, b.example.com").public_hosts == ("a.example.com", "b.example.com")


@pytest.mark.parametrize(
    ("host", "base"), [("evil.example.com", ""), ("localhost:8000", "http://localhost:8000"), ("test", "http://test")]
)
async def test_a_pictures_url(fake: FakeServer, host: str, base: str) -> None:
    async with fake.client() as client:
        body = {"model": "image", "prompt": "a heart", "response_format": "url"}
        drawn = await client.post("/v1/images/generations", json=body | {"model": "everything"}, headers={"host": host})
        url = drawn.json()["data"][0]["url"]
        assert url.startswith(f"{base}/v1/images/")
        picture = await client.get(httpx.URL(url).path)
    assert picture.headers["content-type"] == "image/png"
