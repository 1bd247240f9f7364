"""What a package index has of a package: the simple API in JSON (PEP 691) or HTML (PEP 503)."""

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import httpx
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
AT_ONCE = 16
"""Requests under way at a time."""
ATTEMPTS = 3


class Unreachable(Exception):
    """The index can't be asked: no network, no such host, an error of its own."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a package. `sha256` is None where the index does not give it."""

    name: str
    sha256: str | None
    requires_python: str | None = None
    yanked: bool = False


def parse(content_type: str, body: str) -> list[File]:
    """The files of an index's answer. Raises ValueError: it is no such answer."""
    if "json" in content_type:
        return [
            File(
                one["filename"],
                one.get("hashes", {}).get("sha256"),
                one.get("requires-python") or None,
                bool(one.get("yanked", False)),
            )
            for one in json.loads(body)["files"]
        ]
    page = _Page()
    page.feed(body)
    return page.files


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[File] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a" or not given.get("href"):
            return
        address, fragment = urldefrag(str(given["href"]))
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        name = unquote(urlparse(address).path).rpartition("/")[2]
        self.files.append(File(name, sha256, given.get("data-requires-python"), "data-yanked" in given))


class Index:
    """One or more indexes by their addresses. As for uv, the first one that knows a package has the say on it."""

    def __init__(self, addresses: Iterable[str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._addresses = [address.rstrip("/") for address in addresses]
        self._transport = transport

    async def files(self, names: Iterable[str]) -> dict[str, list[File]]:
        """Each package's files; none where no index knows it. Raises Unreachable."""
        wanted = sorted(set(names))
        limit = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(
            transport=self._transport, headers={"accept": ACCEPT}, follow_redirects=True, timeout=30
        ) as client:

            async def ask(name: str) -> list[File]:
                async with limit:
                    for address in self._addresses:
                        found = await _ask(client, f"{address}/{name}/")
                        if found is not None:
                            return found
                    return []

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(ask(name)) for name in wanted]
            except* Unreachable as errors:
                first: BaseException = errors
                while isinstance(first, BaseExceptionGroup):
                    first = first.exceptions[0]
                raise Unreachable(str(first)) from None
        return dict(zip(wanted, (task.result() for task in tasks), strict=True))


async def _ask(client: httpx.AsyncClient, address: str) -> list[File] | None:
    """The files behind an address; None: the index does not know the package."""
    host = urlparse(address).hostname
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            answer = await client.get(address)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            reason = f"{host}: {error or type(error).__name__}"
            continue
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_success:
            try:
                return parse(answer.headers.get("content-type", ""), answer.text)
            except (ValueError, KeyError, TypeError):
                raise Unreachable(f"{host} does not answer as a package index does") from None
        reason = f"{host} answers {answer.status_code}"
    raise Unreachable(reason)


def in_folder(folder: Path, name: str, version: str) -> list[File]:
    """The wheels of a package's version that lie in a find-links folder, with the hashes that they really have."""
    found = []
    for wheel in sorted(folder.glob("*.whl")):
        try:
            wheel_name, wheel_version, _, _ = parse_wheel_filename(wheel.name)
        except InvalidWheelFilename:
            continue
        if wheel_name == canonicalize_name(name) and str(wheel_version) == version:
            with wheel.open("rb") as file:
                found.append(File(wheel.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return found
