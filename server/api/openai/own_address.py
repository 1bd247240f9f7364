"""Where a client finds this server: what URLs in answers begin with."""

from urllib.parse import urlsplit

from starlette.requests import Request

from server.settings import Settings

LOCAL = ("localhost", "127.0.0.1", "::1")
ANY = ("", "0.0.0.0", "::")
"""Addresses that one listens on, and nobody can ask for."""


def base_url(request: Request, settings: Settings) -> str:
    """Without a slash at its end: as configured; else as the client has just found it, where its `Host` is known to be
    this server's; else empty, so that a path is left, which the client's own base URL completes.

    `Host` is the client's to write, and an answer may be kept or passed on: it must lead nobody to a host of the
    sender's choice. `X-Forwarded-Host` is not looked at.
    """
    if settings.public_url is not None:
        return str(settings.public_url).rstrip("/")
    if _host(request) in known_hosts(request, settings):
        return str(request.base_url).rstrip("/")
    return str(request.scope.get("root_path", "")).rstrip("/")


def known_hosts(request: Request, settings: Settings) -> frozenset[str]:
    """In lower case, without ports: the settings', the address that the server listens on, the one that this
    connection came to, and the machine's names for itself."""
    reached = request.scope.get("server") or ("", None)
    return frozenset(
        host.lower() for host in (*settings.public_hosts, *LOCAL, settings.host, str(reached[0])) if host not in ANY
    )


def _host(request: Request) -> str:
    """The name that the client's `Host` has; empty for none, or for what is no name."""
    try:
        found = urlsplit(f"//{request.headers.get('host', '')}")
        return (found.hostname or "").rstrip(".") if not (found.path or found.query or found.username) else ""
    except ValueError:
        return ""
