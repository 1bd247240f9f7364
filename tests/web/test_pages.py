"""GET /, /playground, /console and their files: what is sent, to whom, and what a browser is told about it."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from server.settings import Settings
from server.testing import FakeServer
from server.web.files import page_files
from tests.api.listening import listening

pytestmark = pytest.mark.anyio

PAGES = ["/", "/playground", "/console"]


@pytest.fixture
async def browser(fake: FakeServer) -> AsyncIterator[httpx.AsyncClient]:
    """Without a key, and taking what comes as it comes."""
    async with fake.client(key=None) as client:
        client.headers["accept-encoding"] = "identity"
        yield client


def asset(name: str) -> str:
    return f"/assets/{page_files().folder}/{name}"


async def test_requests_of_programs_are_not_held_against_the_pages_first(fake: FakeServer) -> None:
    paths = [getattr(route, "path", "") for route in fake.app.routes]
    assert max(map(paths.index, ("/v1/chat/completions", "/admin/v1/usage"))) < min(map(paths.index, PAGES))


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_html_that_is_asked_for_anew_each_time(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.startswith("<!doctype html>")
    assert "{assets}" not in answer.text
    assert "<!-- preloads" not in answer.text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("js/lib.js", "text/javascript; charset=utf-8"),
        ("css/tokens.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/preact/preact.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_a_file_has_its_type_and_is_kept_for_ever(browser: httpx.AsyncClient, name: str, kind: str) -> None:
    answer = await browser.get(asset(name))
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.content == page_files().assets[name].data


@pytest.mark.parametrize("path", PAGES)
async def test_everything_that_a_page_names_is_there_and_is_ours(browser: httpx.AsyncClient, path: str) -> None:
    text = (await browser.get(path)).text
    named = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(named) > 10
    for one in named:
        assert re.fullmatch(r"assets/[0-9a-f]{16}/[\w./-]+", one), one
        assert (await browser.get(f"/{one}")).status_code == 200, one


async def test_a_page_hints_at_all_that_it_begins_with(browser: httpx.AsyncClient) -> None:
    hinted = re.findall(r'modulepreload" href="assets/\w+/([^"]+)"', (await browser.get("/playground")).text)
    assert {"js/lib.js", "vendor/preact/preact.js", "js/sse.js", "js/playground/chat.js"} <= set(hinted)
    assert "js/playground/images.js" not in hinted, "that is loaded when it is shown"
    assert len(hinted) == len(set(hinted))


async def test_below_a_path_of_a_proxys_all_addresses_still_lead_there(browser: httpx.AsyncClient) -> None:
    for path in PAGES:
        page = httpx.URL(f"https://proxy.example/ai{path}")
        for one in re.findall(r'(?:src|href)="([^"]*)"', (await browser.get(path)).text):
            assert page.join(one).path.startswith("/ai/assets/")


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/playground/", "/playground"),
        ("/console/", "/console"),
        ("/console//", "/console"),
        ("//playground/", "/playground"),
    ],
)
async def test_a_page_with_a_slash_at_its_end_leads_to_the_page(
    browser: httpx.AsyncClient, path: str, leads: str
) -> None:
    """What it names would be looked for below it, and not be there."""
    answer = await browser.get(httpx.URL(f"http://test{path}"))
    assert answer.status_code == 308
    # As a browser joins it: the last slash's folder is the page's own name.
    assert httpx.URL(f"http://test/ai{leads}/").join(answer.headers["location"]).path == f"/ai{leads}"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/0123456789abcdef/js/lib.js",
        "{folder}/js/unknown.js",
        "{folder}/playground.html",
        "{folder}/",
        "{folder}",
        "/assets",
        "{folder}/../pages.py",
        "{folder}/%2e%2e/pages.py",
        "{folder}/..%2fpages.py",
        "{folder}/js/..%2f..%2f..%2fpages.py",
        "{folder}/%2fetc/passwd",
        "{folder}/js%00/lib.js",
        "{folder}/js\\lib.js",
        "/assets/../../pages.py",
        "/assets/x%2fy/js/lib.js",
    ],
)
async def test_what_is_no_file_of_theirs_is_an_unknown_url(fake: FakeServer, path: str) -> None:
    """In the envelope of the API. As it goes over the wire: a client would tidy the path up."""
    raw = path.format(folder=f"/assets/{page_files().folder}")
    async with listening(fake) as client:
        url = client.base_url.copy_with(raw_path=raw.encode())
        answer = await client.get(url)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"
    assert answer.headers["x-request-id"].startswith("req_")


# ---------------------------------------------------------------- how it is sent


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        (None, False),
        ("", False),
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br", False),
        ("*", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip ; q=0.001", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("*, gzip;q=0", False),
        ("gzip;q=none", False),
        ("identity", False),
    ],
)
async def test_it_is_compressed_for_whoever_takes_gzip(
    browser: httpx.AsyncClient, accepted: str | None, packed: bool
) -> None:
    del browser.headers["accept-encoding"]
    for path in ("/console", asset("vendor/marked/marked.js")):
        request = browser.build_request("GET", path, headers={} if accepted is None else {"accept-encoding": accepted})
        if accepted is None:
            request.headers.pop("accept-encoding", None)
        answer = await browser.send(request, stream=True)
        sent = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
        assert answer.headers["vary"] == "Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(sent)
        plain = gzip.decompress(sent) if packed else sent
        assert plain == (await browser.get(path, headers={"accept-encoding": "identity"})).content
        assert not packed or len(sent) < len(plain) / 2


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("{etag}", 304),
        ("{strong}", 304),
        ('"other", {etag}', 304),
        ('"other",{strong} , W/"third"', 304),
        ("*", 304),
        ('"other"', 200),
        ("{bare}", 200),
        ("", 200),
        ('"x{bare}y"', 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "css/base.css"])
async def test_what_a_browser_has_is_not_sent_again(
    browser: httpx.AsyncClient, path: str, condition: str, status: int
) -> None:
    address = path if path == "/" else asset(path)
    first = await browser.get(address)
    etag = first.headers["etag"]
    strong = etag.removeprefix("W/")
    said = condition.format(etag=etag, strong=strong, bare=strong.strip('"'))
    answer = await browser.get(address, headers={"if-none-match": said})
    assert answer.status_code == status
    assert (answer.content == b"") is (status == 304)
    for name in ("etag", "cache-control", "vary", "content-security-policy", "x-content-type-options"):
        assert answer.headers[name] == first.headers[name]


@pytest.mark.parametrize("path", [*PAGES, "js/lib.js"])
async def test_a_browser_is_told_to_trust_nothing_else(browser: httpx.AsyncClient, path: str) -> None:
    headers = (await browser.get(path if path in PAGES else asset(path))).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "microphone=(self)" in headers["permissions-policy"]
    assert "set-cookie" not in headers


async def test_a_head_has_a_gets_headers(fake: FakeServer) -> None:
    own = ("x-request-id", "openai-processing-ms", "date")
    async with listening(fake) as client:
        for path in (*PAGES, asset("js/lib.js")):
            got, head = await client.get(path), await client.head(path)
            assert head.content == b""
            assert head.status_code == 200
            same = [{name: value for name, value in one.headers.items() if name not in own} for one in (got, head)]
            assert same[0] == same[1]


async def test_a_page_takes_nothing_but_get(browser: httpx.AsyncClient) -> None:
    for path in (*PAGES, asset("js/lib.js")):
        answer = await browser.post(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


# ---------------------------------------------------------------- when


async def test_the_pages_can_be_turned_off(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"pages": "off"})) as fake, fake.client() as client:
        unknown = (await client.get("/no-such-page")).json()["error"]
        for path in (*PAGES, "/console/", asset("js/lib.js")):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert answer.json()["error"] == unknown | {"message": f"Invalid URL (GET {path})"}
            assert "content-security-policy" not in answer.headers


async def test_the_pages_are_there_while_models_load_or_have_failed(
    fake: FakeServer, browser: httpx.AsyncClient
) -> None:
    fake.registry.loaded.clear()
    fake.registry.failed["fake-chat"] = "why"
    assert (await browser.get("/ready")).status_code == 503
    for path in PAGES:
        assert (await browser.get(path)).status_code == 200


async def test_a_wrong_key_is_no_reason_to_refuse_a_page(fake: FakeServer) -> None:
    async with fake.client(key="sk-sage-wrong") as client:
        for path in PAGES:
            assert (await client.get(path)).status_code == 200


async def test_while_the_server_ends_a_page_is_refused_as_everything_is(
    fake: FakeServer, browser: httpx.AsyncClient
) -> None:
    """Nothing that it shows could be asked for any more; a page that is open shows the message."""
    fake.services.shutdown.begin()
    answer = await browser.get("/playground")
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "service_unavailable_error"


async def test_many_first_visitors_get_the_same(fake: FakeServer, browser: httpx.AsyncClient) -> None:
    page_files.cache_clear()
    answers = await asyncio.gather(*(browser.get(path) for path in PAGES * 5))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 3
