"""Clients join base URLs and paths in many ways: one set of routes serves them all, without redirects."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile("/{2,}")
_PREFIX = re.compile(r"^(?:/server/openai|/server|/openai)(?=/v1(?:/|$))")


def canonical(path: str) -> str:
    """`/server/v1//models/` → `/v1/models`. Slashes inside a model's id stay, as long as they are single."""
    path = _SLASHES.sub("/", path)
    path = _PREFIX.sub("", path)
    return path.rstrip("/") or "/"


class CanonicalPaths:
    """Rewrites the path before it is routed; the request's record keeps what the client sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = canonical(scope["path"])
        await self._app(scope, receive, send)
