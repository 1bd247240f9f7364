"""The guard against forged requests by itself, where every host is allowed: nobody inside is ever connected to.

With named hosts it is tested with pictures, in tests/api/test_image_input.py.
"""

import asyncio
import gzip
import ipaddress
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.outbound.addresses import is_public
from server.outbound.fetch import Fetched, Fetcher, FetchError, Refusal

pytestmark = pytest.mark.anyio

OUTSIDE = "93.184.216.34"
"""A public address, to which no test connects."""


class Names:
    """A resolver that knows one address for all names, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.addresses


async def refusal(fetcher: Fetcher, url: str) -> FetchError:
    with pytest.raises(FetchError) as raised:
        await fetcher.fetch(url, "text/html", ("text/html",))
    return raised.value


@pytest.mark.parametrize(
    "url",
    [
        "http://public.example:8080/", "https://public.example:80/", "http://public.example:443/",
        "http://public.example:22/", "ftp://public.example/", "gopher://public.example/", "file:///etc/passwd",
        "http://user@public.example/", "http://:word@public.example/", "http://user:word@public.example/",
        "http://public.example:0/", "//public.example/", "http:///x", "http://", "javascript:alert(1)", "data:,x",
        "http://[::1", "http://public.example:99999/", "http://[fe80::1%25eth0]:8080/",
    ],
)  # fmt: skip
async def test_every_host_is_not_every_port_nor_every_scheme(url: str) -> None:
    names = Names("127.0.0.1")  # what would be asked for is seen, and nobody is connected to
    told = await refusal(Fetcher(["*"], limit=100, resolve=names), url)
    assert told.refusal in (Refusal.HOST, Refusal.NOT_HTTP, Refusal.NOT_A_URL)
    assert names.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "localhost", "LOCALHOST.", "[::1]",
        "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "[fe80::1%25lo]", "[0:0:0:0:0:0:0:1]", "[fc00::1]", "169.254.169.254", "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
    ],
)  # fmt: skip
async def test_inner_addresses_by_all_their_spellings(host: str) -> None:
    """By the system's own resolver, which reads numbers as inet_aton does."""
    told = await refusal(Fetcher(["*"], limit=100, timeout=2.0), f"http://{host}/")
    assert told.refusal in (Refusal.HOST, Refusal.NOT_A_URL, Refusal.FAILED)


@pytest.mark.parametrize("inner", ["127.0.0.1", "::1", "fe80::1%eth0", "::ffff:10.0.0.1"])
async def test_one_inner_address_among_public_ones_is_enough(inner: str) -> None:
    for addresses in ((OUTSIDE, inner), (inner, OUTSIDE)):
        told = await refusal(Fetcher(["*"], limit=100, resolve=Names(*addresses)), "http://public.example/")
        assert told.refusal is Refusal.HOST
    assert (await refusal(Fetcher(["*"], limit=100, resolve=Names()), "http://public.example/")).refusal is Refusal.HOST


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001:10::1",
        "5f00::1",
        "3fff::1",
        "192.0.0.8",
        "192.88.99.1",
    ],
)
def test_addresses_of_special_use(address: str) -> None:
    known = ipaddress.ip_address(address)
    # Which registries this Python knows differs; none of these leads to a machine beside the server.
    assert is_public(known) is (known.is_global and not known.is_reserved)


@asynccontextmanager
async def site(*pieces: bytes, forever: bytes = b"") -> AsyncGenerator[int, None]:
    """A host that answers with the pieces, and then with `forever` until nobody reads; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
            while forever:
                writer.write(forever)
                await writer.drain()
                await asyncio.sleep(0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def asked(port: int, *, limit: int = 1000, timeout: float = 5.0) -> Fetched:
    host = f"site.example:{port}"
    fetcher = Fetcher([host], limit=limit, timeout=timeout, resolve=Names("127.0.0.1"), permitted=lambda _: True)
    return await fetcher.fetch(f"http://{host}/", "text/html", ("text/html",))


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


@pytest.mark.parametrize(
    ("pieces", "forever", "reason"),
    [
        ((OK, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"0" * 10**6)), b"", Refusal.COMPRESSED),
        ((OK, b"Content-Encoding: br\r\n\r\nx"), b"", Refusal.COMPRESSED),
        ((OK, b"\r\n"), b"x" * 4096, Refusal.TOO_LARGE),
        ((OK, b"Transfer-Encoding: chunked\r\n\r\n"), b"1\r\nx\r\n", Refusal.TOO_LARGE),
        ((OK, b"Content-Length: 99999999999\r\n\r\n"), b"x" * 4096, Refusal.TOO_LARGE),
        ((b"HTTP/1.1 200 OK\r\n",), b"X-More: " + b"x" * 4096 + b"\r\n", Refusal.FAILED),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), b"HTTP/1.1 100 Continue\r\n\r\n", Refusal.TOO_SLOW),
        ((b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",), b"", Refusal.STATUS),
        ((b"HTTP/1.1 200 OK\r\nRefresh: 0; url=http://127.0.0.1/\r\n\r\n",), b"", Refusal.MEDIA_TYPE),
        ((b"rubbish\r\n\r\n",), b"", Refusal.FAILED),
        ((), b"", Refusal.FAILED),
    ],
)
async def test_what_a_host_answers_is_bounded(pieces: Any, forever: bytes, reason: Refusal) -> None:
    async with site(*pieces, forever=forever) as port:
        with pytest.raises(FetchError) as told:
            await asked(port, timeout=0.5 if reason is Refusal.TOO_SLOW else 5.0)
    assert told.value.refusal is reason


async def test_an_ordinary_answer() -> None:
    async with site(OK, b"Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello") as port:
        assert await asked(port) == Fetched(b"hello", "text/html")
