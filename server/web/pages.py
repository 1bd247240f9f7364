"""GET /, /playground and /console, and the files that they load. No key: the pages ask for one, and hold no secret."""

from collections.abc import Mapping

from anyio import to_thread
from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.api.services import services_of
from server.web.files import File, page_files

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
    files = await to_thread.run_sync(page_files)
    file = files.assets.get(name)
    if folder != files.folder or file is None:
        raise HTTPException(404)
    return _sent(request, file, FOR_EVER)


async def _page(request: Request, name: str) -> Response:
    _check_served(request)
    return _sent(request, (await to_thread.run_sync(page_files)).pages[name], ASK_AGAIN)


def _check_served(request: Request) -> None:
    """With `pages` off these are URLs that the server does not have."""
    if services_of(request).settings.pages == "off":
        raise HTTPException(404)


def _sent(request: Request, file: File, caching: str) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": caching, "Vary": "Accept-Encoding", **SECURITY}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=file.media_type)
    return Response(file.data, headers=headers, media_type=file.media_type)


def _takes_gzip(request: Request) -> bool:
    """By RFC 9110, 12.5.3, as browsers send it: a list in which a weight of zero means no."""
    for part in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";q=")
        if coding in ("gzip", "*"):
            return weight.strip("0.") != "" or weight == ""
    return False
