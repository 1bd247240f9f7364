"""How one family of clients is spoken to: where its keys are, what its errors look like, which paths are its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from server.errors import SageholdError


class Dialect(ABC):
    """A dialect is one object without state: everything that differs between APIs beside their routes.

    prefixes: the canonical paths that are its own begin with one of them, as a whole segment. challenge: headers of
    each 401. terminator: what ends a stream of server-sent events, where its route says that it has one.
    """

    prefixes: ClassVar[Sequence[str]]
    challenge: ClassVar[Mapping[str, str]] = {}
    terminator: ClassVar[bytes] = b""

    @abstractmethod
    def credentials(self, connection: HTTPConnection) -> str | None:
        """The key that the client sent; None if there is none where this dialect's clients put it."""

    @abstractmethod
    def refusal(self, error: SageholdError) -> Response:
        """The whole answer to a request that is refused, or that failed before its first byte."""

    @abstractmethod
    def error_event(self, error: SageholdError) -> bytes:
        """An error after the first byte, as a server-sent event."""

    def headers(self, milliseconds: int) -> Sequence[tuple[bytes, bytes]]:  # noqa: ARG002 - for those that want it
        """Those of every answer, beside `x-request-id`. milliseconds: from the request's arrival to the start."""
        return ()

    def instead_of(self, path: str) -> str | None:  # noqa: ARG002 - for those that know
        """What to use in place of a canonical path that is not served, in a sentence; None where nobody knows."""
        return None

    def owns(self, path: str) -> bool:
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes)


class Dialects:
    """The dialects of an application. A path that is nobody's is answered by the first, `default`."""

    def __init__(self, default: Dialect, *others: Dialect) -> None:
        self._default = default
        self._others = others

    def of(self, path: str) -> Dialect:
        """path: canonical, see server/api/paths.py."""
        for dialect in self._others:
            if dialect.owns(path):
                return dialect
        return self._default


def dialect_of(scope: Scope) -> Dialect:
    """The dialect of the request, or the websocket, that `scope` belongs to."""
    dialects: Dialects = scope["app"].state.dialects
    return dialects.of(scope["path"])
