"""One request over a connection of its own, byte for byte as it is written here: client libraries tidy it up."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Wire:
    """An answer. status: 0 where the connection broke before there was one. headers: by their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    url: str, method: str, path: str, *, key: str = "", body: bytes = b"", headers: dict[str, str] | None = None
) -> Wire:
    """path: sent as it is. body: JSON, unless `headers` says otherwise."""
    address = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    except ConnectionError:
        return Wire(0, {}, b"")
    try:
        sent = {"Host": address.netloc, "Content-Type": "application/json", "Connection": "close", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        if body:
            sent["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        return _parsed(await reader.read())
    except ConnectionError:
        return Wire(0, {}, b"")
    finally:
        writer.close()


def _parsed(answer: bytes) -> Wire:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        return Wire(0, {}, b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Wire(int(first.split()[1]), headers, body)
