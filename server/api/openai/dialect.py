"""The OpenAI API's own ways: a bearer key, the error envelope, and events that end with [DONE]."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from starlette.requests import HTTPConnection
from starlette.responses import Response

from server.api.dialect import Dialect
from server.api.openai.not_served import instead_of
from server.errors import SageholdError

DONE = b"data: [DONE]\n\n"
_VERSION = (b"openai-version", b"2020-10-01")  # the value that the OpenAI API itself sends


class OpenAI(Dialect):
    """`{"error": {message, type, param, code}}` is the shape of every refusal."""

    prefixes = ("/v1",)
    challenge: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}
    terminator = DONE

    def credentials(self, connection: HTTPConnection) -> str | None:
        """The key in `Authorization: Bearer …`."""
        scheme, _, key = connection.headers.get("authorization", "").strip().partition(" ")
        return (key.strip() or None) if scheme.lower() == "bearer" else None

    def refusal(self, error: SageholdError) -> Response:
        return Response(_envelope(error), error.status, error.headers, "application/json")

    def headers(self, milliseconds: int) -> Sequence[tuple[bytes, bytes]]:
        return (_VERSION, (b"openai-processing-ms", b"%d" % milliseconds))

    def instead_of(self, path: str) -> str | None:
        return instead_of(path)

    def error_event(self, error: SageholdError) -> bytes:
        return b"data: " + _envelope(error) + b"\n\n"


def _envelope(error: SageholdError) -> bytes:
    fields: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    return orjson.dumps({"error": fields})


OPENAI = OpenAI()
