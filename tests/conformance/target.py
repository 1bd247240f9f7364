"""The server that is asked: plain HTTP, no SDK in between, so that nothing is mended on the way."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests.conformance import sse
from tests.conformance.case import Failed, NotServed
from tests.conformance.strict import strictly, undeclared, unlisted

TIMEOUT = 180.0
"""Seconds without a byte before an answer counts as hung."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. pieces: how many reads it came in."""

    status: int
    headers: httpx.Headers
    raw: bytes
    pieces: int = 1

    @property
    def media_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        return self.raw.decode()

    def json(self) -> Any:
        """Raises Failed unless it is JSON."""
        try:
            return json.loads(self.raw)
        except ValueError:
            raise Failed(f"HTTP {self.status}, and the body is no JSON: {self.raw[:80]!r}") from None

    def events(self) -> list[sse.Event]:
        """The events of a stream. Raises Failed unless it is one."""
        if self.media_type != "text/event-stream":
            raise Failed(f"the content type of a stream is {self.media_type or 'missing'}: {self.raw[:120]!r}")
        return sse.events(self.raw)


@dataclass
class Target:
    """base_url: with its /v1. models: the name to ask for, by kind of model."""

    base_url: str
    key: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    added: dict[str, set[str]] = field(default_factory=dict)
    """By the declared type: fields of answers that the SDK does not declare."""
    kept: dict[str, bytes] = field(default_factory=dict)
    """What is costly to make and serves several cases."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")
        self.client = httpx.Client(timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()

    def model(self, kind: str) -> str:
        """Raises NotServed."""
        if kind not in self.models:
            raise NotServed(f"no {kind} model")
        return self.models[kind]

    # ------------------------------------------------------------ requests

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        here: bool = True,
        **content: Any,
    ) -> Answer:
        """One request. url: a path below the base, or a whole URL. key: instead of the own; empty for none.

        here: False where a 404 or 405 may be the right answer; otherwise a missing route raises NotServed. Raises
        Failed where the connection ends without an answer.
        """
        key = self.key if key is None else key
        sent = {"authorization": f"Bearer {key}"} if key else {}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        whole = url if "://" in url else f"{self.base_url}{url}"
        try:
            with self.client.stream(method, whole, headers=sent, **content) as response:
                pieces = list(response.iter_bytes())
        except httpx.TimeoutException:
            raise Failed(f"{method} {url} hung for {TIMEOUT:g} s") from None
        except httpx.TransportError as error:
            raise Failed(f"{method} {url}: no whole answer ({type(error).__name__})") from None
        answer = Answer(response.status_code, response.headers, b"".join(pieces), len(pieces))
        if here and absent(answer):
            raise NotServed(f"no {method} {urlsplit(whole).path}")
        return answer

    def get(self, url: str, **options: Any) -> Answer:
        return self.send("GET", url, **options)

    def post(self, url: str, body: Any, **options: Any) -> Answer:
        """A JSON body as the SDKs send it."""
        return self.send("POST", url, json=body, **options)

    def form(self, url: str, data: Mapping[str, Any], files: Any, **options: Any) -> Answer:
        """A multipart form. data: text fields, a list for several of one name."""
        return self.send("POST", url, data=data, files=files, **options)

    def spoken(self, text: bytes) -> bytes:
        """Whatever comes back over a connection of its own for these bytes, until the server closes it.

        For what no HTTP client sends. The request must ask for the connection to be closed.
        """
        parts = urlsplit(self.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT) as plain:
            connection = plain
            if parts.scheme == "https":
                connection = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
            connection.sendall(text)
            received = b""
            try:
                while piece := connection.recv(65536):
                    received += piece
            except (TimeoutError, ConnectionError) as error:
                raise Failed(f"the connection ended with {type(error).__name__} after {received[:80]!r}") from None
        return received

    @property
    def root(self) -> str:
        """The server's address without a path."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def prefix(self) -> str:
        """The base's path: /v1."""
        return urlsplit(self.base_url).path

    def timed(self, url: str, body: Any, most: int = 1_000_000) -> list[float]:
        """Seconds at which each event of a streamed answer came. The client hangs up after `most`."""
        begun = time.monotonic()
        times = []
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        with self.client.stream("POST", f"{self.base_url}{url}", json=body, headers=headers) as response:
            lines = (line for line in response.iter_lines() if line.startswith("data:"))
            times = [time.monotonic() - begun for line in islice(lines, most)]
        if response.status_code != httpx.codes.OK:
            raise Failed(f"HTTP {response.status_code} for a stream")
        return times

    # ------------------------------------------------------------ answers

    def strict(self, declared: Any, raw: bytes | str, what: str = "the answer") -> Any:
        """As `strictly`. Fields beyond the SDK's are noted in `added`; one that is no known addition is a fault."""
        value = strictly(declared, raw, what)
        if extras := undeclared(value):
            if unknown := unlisted(extras):
                raise Failed(f"{what} has fields that neither the SDK nor any documentation knows: {sorted(unknown)}")
            with self.lock:
                self.added.setdefault(type(value).__name__, set()).update(extras)
        return value

    def keep(self, name: str, make: Any) -> bytes:
        """What `make` returns, made once."""
        with self.lock:
            if name not in self.kept:
                self.kept[name] = make()
            return self.kept[name]


def absent(answer: Answer) -> bool:
    """Whether a 404 or 405 is that of a route that isn't there, rather than of a model or a file."""
    if answer.status == httpx.codes.METHOD_NOT_ALLOWED:
        return True
    if answer.status != httpx.codes.NOT_FOUND:
        return False
    try:
        body = json.loads(answer.raw)
    except ValueError:
        return True
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return True
    message = str(error.get("message", ""))
    return error.get("code") == "unknown_url" or message == "Not Found" or message.startswith("Invalid URL")


def data_file(name: str) -> bytes:
    """A file of tests/conformance/data."""
    return (Path(__file__).parent / "data" / name).read_bytes()
