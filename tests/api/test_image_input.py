"""Pictures in chat messages: data URIs, and URLs against a local server with a resolver of the test's own."""

import asyncio
import base64
import ipaddress
import struct
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from server.api.openai.image_input import MAX_FETCHED, MAX_IN_ALL, resolve_images
from server.api.openai.media_fetch import MediaClient
from server.errors import InvalidRequest
from server.outbound.addresses import is_public
from server.settings import Settings

pytestmark = pytest.mark.anyio


def picture(kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, kind)
    return buffer.getvalue()


def data_uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def asking(*urls: Any) -> list[dict[str, Any]]:
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, *parts]}]


def url_of(messages: Sequence[Any], place: int = 1) -> str:
    url: str = messages[0]["content"][place]["image_url"]["url"]
    return url


async def refusal(url: Any, settings: Settings | None = None, client: MediaClient | None = None) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        await resolve_images(asking(url), settings or Settings(), client)
    assert refused.value.param == "messages[0].content[1].image_url.url"
    return refused.value


# ---------------------------------------------------------------- data URIs


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_data_uri_passes_under_its_true_type(kind: str) -> None:
    data = picture(kind)
    resolved = await resolve_images(asking(data_uri(data, "image/jpg")), Settings())
    assert url_of(resolved) == data_uri(data, f"image/{kind.lower()}")


async def test_what_is_no_picture_is_passed_on_and_nothing_is_changed_in_place() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": None},
        *asking(data_uri(picture())),
    ]
    resolved = await resolve_images(messages, Settings())
    assert resolved[:2] == tuple(messages[:2])
    assert resolved[2]["content"][0] == {"type": "text", "text": "what is this?"}
    assert resolved[2]["content"][1]["image_url"]["detail"] == "low"
    bare: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "image_url", "image_url": data_uri(picture(), "image/x")}]}
    ]
    resolved = await resolve_images(bare, Settings())
    assert url_of(resolved, 0) == data_uri(picture())
    assert bare[0]["content"][0]["image_url"] == data_uri(picture(), "image/x")


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,####",
        "data:image/png;base64,iVBORw0KGgo",  # padding is missing
        "data:image/png;base64,iVBO Rw0K",
        "data:image/png;base64,é",
        "data:image/png;base64,",
        "data:image/png,rawbytes",
        "data:image/png",
        "data:text/html;base64,PGI+",
        data_uri(b"GIF89a"),
        data_uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        data_uri(picture()[:20]),
    ],
)
async def test_broken_data_uris_are_refused(url: str) -> None:
    await refusal(url)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "ICO"])
async def test_other_decoders_are_out_of_reach(kind: str) -> None:
    await refusal(data_uri(picture(kind)))


@pytest.mark.parametrize("image_url", [None, 5, {}, {"url": 5}, {"url": None}, []])
async def test_parts_without_a_url_are_refused(image_url: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await resolve_images([{"role": "user", "content": [{"type": "image_url", "image_url": image_url}]}], Settings())
    assert refused.value.param == "messages[0].content[0].image_url"


async def test_too_many_bytes_are_refused() -> None:
    data = picture()
    assert await resolve_images(asking(data_uri(data)), Settings(max_image_input=len(data)))
    refused = await refusal(data_uri(data), Settings(max_image_input=len(data) - 1))
    assert "bytes" in refused.message


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be large; a header is all that it has."""
    header = b"IHDR" + struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"\0" * 1000)
    chunks = [struct.pack("!I", len(part) - 4) + part + struct.pack("!I", zlib.crc32(part)) for part in (header, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# Above our limit; above Pillow's warning; above Pillow's error.
@pytest.mark.parametrize("side", [5001, 10_000, 60_000])
async def test_decompression_bombs_are_refused_by_their_header(side: int) -> None:
    refused = await refusal(data_uri(bomb(side, side)))
    assert "more than 25000000 pixels" in refused.message


async def test_pixels_up_to_the_limit_are_fine() -> None:
    assert await resolve_images(asking(data_uri(bomb(5000, 5000))), Settings())


async def test_many_pictures_together_have_a_limit_too() -> None:
    largest = data_uri(bomb(5000, 5000))
    assert await resolve_images(asking(*[largest] * MAX_IN_ALL), Settings())
    with pytest.raises(InvalidRequest) as refused:
        await resolve_images(asking(*[largest] * MAX_IN_ALL, data_uri(picture())), Settings())
    assert refused.value.param == f"messages[0].content[{MAX_IN_ALL + 1}].image_url.url"
    assert "200000000 pixels together" in refused.value.message


# ---------------------------------------------------------------- URLs


class Site:
    """A web server on loopback that gives one answer and keeps the requests."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def site(answer: bytes) -> AsyncGenerator[Site]:
    running = Site(answer)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    async with server:
        yield running


def http(body: bytes, kind: str = "image/png", status: str = "200 OK", more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode() + body


class Names:
    """A resolver that counts. Each look-up of a name gives the next of its answers."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0)


def anywhere(_: Any) -> bool:
    return True


def reaching(running: Site, names: Names, *, limit: int = 10_000, timeout: float = 10.0) -> MediaClient:
    """May fetch from the local site, which a real client never may."""
    host = f"pictures.example:{running.port}"
    return MediaClient([host], limit=limit, timeout=timeout, resolve=names, permitted=anywhere)


async def test_by_default_urls_are_refused_without_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr("anyio.getaddrinfo", never)
    refused = await refusal("https://pictures.example/cat.png")
    assert "data URI" in refused.message


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/cat.png",
        "https://pictures.example.elsewhere.example/cat.png",
        "https://pictures.example:8080/cat.png",
        "https://pictures.example@elsewhere.example/cat.png",
        "https://user:password@pictures.example/cat.png",
        "https://elsewhere.example\\@pictures.example/cat.png",
        "ftp://pictures.example/cat.png",
        "file:///etc/passwd",
        "//pictures.example/cat.png",
        "https:///cat.png",
        "https://picturés.example/cat.png",
        "http://127.0.0.1/cat.png",
        "http://[::1]/cat.png",
        "cat.png",
        "https://pictures.example:99999/cat.png",
        "https://pictures .example/",
        "",
    ],
)
async def test_other_hosts_are_refused_without_a_look_up(url: str) -> None:
    names = Names()
    await refusal(url, client=MediaClient(["pictures.example"], limit=1000, resolve=names))
    assert names.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
async def test_inner_addresses_are_refused_even_for_allowed_hosts(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    names = Names(["93.184.216.34", address])
    refused = await refusal(
        "http://pictures.example/cat.png", client=MediaClient(["pictures.example"], limit=1000, resolve=names)
    )
    assert "not accepted" in refused.message
    assert names.asked == [("pictures.example", 80)]


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_the_open_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


async def test_the_picture_comes_from_the_address_that_was_checked() -> None:
    data = picture("JPEG")
    async with site(http(data, "image/jpeg")) as running:
        names = Names(["127.0.0.1"])  # a second look-up would fail
        url = f"http://Pictures.Example:{running.port}/cat.jpg?size=1"
        resolved = await resolve_images(asking(url), Settings(), reaching(running, names))
    assert url_of(resolved) == data_uri(data, "image/jpeg")
    assert names.asked == [("pictures.example", running.port)]
    [request] = running.requests
    assert request.startswith("GET /cat.jpg?size=1 HTTP/1.1\r\n")
    assert f"host: pictures.example:{running.port}\r\n" in request.lower()


async def test_a_name_that_moves_inside_between_check_and_use_gains_nothing() -> None:
    async with site(http(picture())) as inside:
        # Another address of the loopback, where nobody listens, stands in for a public one.
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        asked: list[str] = []

        def permitted(address: Any) -> bool:
            asked.append(str(address))
            return str(address) == "127.0.0.2"

        host = f"pictures.example:{inside.port}"
        client = MediaClient([host], limit=10_000, timeout=0.2, resolve=names, permitted=permitted)
        await refusal(f"http://{host}/cat.png", client=client)
    assert asked == ["127.0.0.2"]
    assert inside.requests == []


async def test_redirects_are_not_followed() -> None:
    async with site(http(picture())) as inside:
        moved = http(b"", status="302 Found", more=f"Location: http://127.0.0.1:{inside.port}/secret\r\n")
        async with site(moved) as running:
            client = reaching(running, Names(["127.0.0.1"]))
            refused = await refusal(f"http://pictures.example:{running.port}/cat.png", client=client)
    assert "status 302" in refused.message
    assert inside.requests == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(b"missing", status="404 Not Found"), "status 404"),
        (http(b"<html>", "text/html"), "not an image"),
        (http(b"<html>", "image/png"), "broken"),
        (http(bomb(60_000, 60_000)), "pixels"),
        (http(b"x" * 10_001), "bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + b"x" * 10_001, "bytes"),
        (b"SSH-2.0-OpenSSH\r\n", "could not be fetched"),
        (b"", "could not be fetched"),
    ],
)
async def test_what_a_host_answers_is_not_trusted(answer: bytes, reason: str) -> None:
    async with site(answer) as running:
        client = reaching(running, Names(["127.0.0.1"]))
        refused = await refusal(f"http://pictures.example:{running.port}/cat.png", client=client)
    assert reason in refused.message


async def test_a_host_that_is_silent_is_given_up() -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client has had enough
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        host = f"pictures.example:{server.sockets[0].getsockname()[1]}"
        client = MediaClient([host], limit=1000, timeout=0.1, resolve=Names(["127.0.0.1"]), permitted=anywhere)
        refused = await refusal(f"http://{host}/cat.png", client=client)
        await hung_up.wait()
    assert "could not be fetched" in refused.message


async def test_a_name_without_addresses_is_refused() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    client = MediaClient(["pictures.example"], limit=1000, resolve=unknown)
    refused = await refusal("https://pictures.example/cat.png", client=client)
    assert "known" not in refused.message


async def test_one_request_fetches_few_pictures() -> None:
    async with site(http(picture())) as running:
        names = Names(*[["127.0.0.1"]] * (MAX_FETCHED + 1))
        urls = [f"http://pictures.example:{running.port}/{number}" for number in range(MAX_FETCHED + 1)]
        with pytest.raises(InvalidRequest) as refused:
            await resolve_images(asking(*urls), Settings(), reaching(running, names))
    assert refused.value.param == f"messages[0].content[{MAX_FETCHED + 1}].image_url.url"
    assert len(names.asked) == MAX_FETCHED
