"""GET /, /playground and /console, and the files that they load. No key: the pages ask for one, and hold no secret."""

from collections.abc import Mapping

from anyio import to_thread
from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.api.context import record_of
from server.api.services import services_of
from server.web.files import File, PageFiles, page_files

router = APIRouter(include_in_schema=False)

SECURITY: Mapping[str, str] = {
    # Pictures and recordings that the page makes are blobs and data; nothing else comes from anywhere but here.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
"""A page is asked for anew each time, and is a 304 as long as it is the same."""


@router.get("/")
async def home(request: Request) -> Response:
    """What runs here, and where to go."""
    return await _page(request, "home")


@router.get("/playground")
async def playground(request: Request) -> Response:
    """Each model tried by hand."""
    return await _page(request, "playground")


@router.get("/console")
async def console(request: Request) -> Response:
    """Accounts, keys, credits, models and what they do."""
    return await _page(request, "console")


@router.get("/assets/{folder}/{name:path}")
async def asset(request: Request, folder: str, name: str) -> Response:
    """A file of the pages. folder: see PageFiles; that of another version is not found."""
    _check_served(request)
    files = await _files()
    file = files.assets.get(name)
    if folder != files.folder or file is None:
        raise HTTPException(404)
    return _sent(request, file, FOR_EVER)


async def _page(request: Request, name: str) -> Response:
    _check_served(request)
    path = record_of(request.scope).path
    if path.endswith("/") and path.strip("/"):
        # With a slash at its end, what the page names would be looked for below it. Relative, since a proxy may have
        # taken a part of the path away.
        return RedirectResponse(f"../{name}", 308, headers=dict(SECURITY))
    return _sent(request, (await _files()).pages[name], ASK_AGAIN)


async def _files() -> PageFiles:
    """At once but for the first time: a thread may have to wait for one that others use."""
    return page_files() if page_files.cache_info().currsize else await to_thread.run_sync(page_files)


def _check_served(request: Request) -> None:
    """With `pages` off these are URLs that the server does not have."""
    if services_of(request).settings.pages == "off":
        raise HTTPException(404)


def _sent(request: Request, file: File, caching: str) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": caching, "Vary": "Accept-Encoding", **SECURITY}
    if _is_known(file.etag, request.headers.getlist("if-none-match")):
        return Response(status_code=304, headers=headers)
    if file.packed is not None and _takes_gzip(request.headers.getlist("accept-encoding")):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=file.media_type)
    return Response(file.data, headers=headers, media_type=file.media_type)


def _is_known(etag: str, lines: list[str]) -> bool:
    """Whether If-None-Match names it. By RFC 9110, 13.1.2: a list, compared weakly, or * for any."""
    named = {one.strip().removeprefix("W/") for line in lines for one in line.split(",")}
    return bool({"*", etag.removeprefix("W/")} & named)


def _takes_gzip(lines: list[str]) -> bool:
    """By RFC 9110, 12.5.3: codings with weights, of which zero means no; * stands for all that are not named."""
    weights: dict[str, float] = {}
    for part in ",".join(lines).lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((one[2:].strip() for one in parameters if one.startswith("q=")), "1")
        try:
            weights[coding.removeprefix("x-")] = float(weight)
        except ValueError:
            weights[coding.removeprefix("x-")] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
