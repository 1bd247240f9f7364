"""Clients join base URLs and paths in many ways: one set of routes serves them all, without redirects."""

import re

_SLASHES = re.compile("/{2,}")
_PREFIX = re.compile(r"^(?:/server/openai|/server|/openai)(?=/v1(?:/|$))")


def canonical(path: str) -> str:
    """`/server/v1//models/` → `/v1/models`. Slashes inside a model's id stay, as long as they are single."""
    path = _SLASHES.sub("/", path)
    path = _PREFIX.sub("", path)
    return path.rstrip("/") or "/"
