"""Who is calling, and may they come in: on a request or a websocket, by the key where its dialect puts it."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from server.api.context import record_of
from server.api.dialect import dialect_of
from server.api.inner_request import inner_of
from server.api.services import services_of
from server.core import Caller
from server.errors import AccountClosed, NotAuthenticated, PermissionDenied

KEY = "sagehold.caller"
"""Where a connection's scope keeps its caller, so that a key is looked up once."""

ANYONE = Caller(key_id="none", account_id="none")
"""Who calls when `auth` is off."""


async def keyed(connection: HTTPConnection) -> Caller:
    """The caller by its key, even where `auth` is off. Where the key stands is the dialect's to say (`credentials`).

    Raises NotAuthenticated. Who sends wrong keys waits longer for it each time: see failed_keys.py.
    """
    caller: Caller | None = connection.scope.get(KEY)
    if caller is not None:
        return caller
    services, dialect = services_of(connection), dialect_of(connection.scope)
    key = dialect.credentials(connection)
    if key is None:
        raise NotAuthenticated(headers=dict(dialect.challenge))
    try:
        caller = await services.accounts.authenticate(key)
    except AccountClosed as closed:
        await services.failed_keys.failed(connection.client.host if connection.client else None)
        closed.headers |= dialect.challenge
        raise
    if caller is None:
        await services.failed_keys.failed(connection.client.host if connection.client else None)
        message = "Incorrect API key provided."
        raise NotAuthenticated(message, code="invalid_api_key", headers=dict(dialect.challenge))
    record_of(connection.scope).key_id = caller.key_id
    connection.scope[KEY] = caller
    return caller


def caller_of(connection: HTTPConnection) -> Caller | None:
    """Who was found to call; None before anybody asked."""
    services = services_of(connection)
    if (inner := inner_of(connection.scope)) is not None:
        return inner.caller
    caller: Caller | None = ANYONE if services.settings.auth == "off" else connection.scope.get(KEY)
    return caller


async def authenticated(connection: HTTPConnection) -> Caller:
    """The caller by its key, or ANYONE where `auth` is off; of the server's own requests, the one they are made for.

    Raises NotAuthenticated, PermissionDenied.
    """
    if (inner := inner_of(connection.scope)) is not None:
        return inner.caller
    settings = services_of(connection).settings
    if settings.auth != "off":
        return await keyed(connection)
    _check_site(connection, settings.cors_origins)
    return ANYONE


def _check_site(connection: HTTPConnection, allowed: Sequence[str]) -> None:
    """Raises PermissionDenied for what a page of another site has its reader's browser send here.

    Where no key is needed, nothing else keeps such pages from using the models of whoever looks at them: CORS hides the
    answers from them, and stops no request of a form's kind. allowed: origins whose pages may, `*` for all.
    """
    headers = connection.headers
    if headers.get("sec-fetch-site") != "cross-site" or connection.scope.get("method") in ("GET", "HEAD"):
        return
    if "*" not in allowed and headers.get("origin") not in allowed:
        raise PermissionDenied("A page of another site may not do that here: see SAGEHOLD_CORS_ORIGINS.")


def require(*scopes: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets a caller with any of the scopes pass. Raises NotAuthenticated, PermissionDenied.

    `admin` alone needs a key even where `auth` is off: a trusted network is trusted with models, not with keys.
    """
    wanted = frozenset(scopes)
    who = keyed if wanted == {"admin"} else authenticated

    # One function that takes the connection alone, as all dependencies here: FastAPI solves each one it has to ask for
    # in turn, at 5 to 9 µs each.
    async def allowed(connection: HTTPConnection) -> None:
        if not wanted & effective_scopes(await who(connection)):
            raise PermissionDenied(f"This key may not do that: it needs the scope {' or '.join(sorted(wanted))}.")

    allowed.scopes = wanted  # type: ignore[attr-defined] # for `scopes_of`
    return allowed


def scopes_of(route: APIRoute) -> frozenset[str]:
    """The scopes of which a route wants one; none for a route that needs no key."""
    for dependency in route.dependant.dependencies:
        scopes: frozenset[str] | None = getattr(dependency.call, "scopes", None)
        if scopes is not None:
            return scopes
    return frozenset()


def effective_scopes(caller: Caller) -> frozenset[str]:
    """`admin` includes `usage`, which only reads; nothing includes `inference`, which spends credits."""
    return caller.scopes | {"usage"} if "admin" in caller.scopes else caller.scopes
