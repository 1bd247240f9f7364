"""The bytes of a kept file as an answer: whole or in ranges, to be saved and never to be shown."""

from io import BufferedReader
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from server.errors import InvalidRequest, NotFound, RangeNotSatisfiable
from server.jobs.files.reading import reading
from server.jobs.files.records import BATCH_OUTPUT, StoredFile

LINES = ("batch", BATCH_OUTPUT)
"""Purposes of files that are lines of JSON."""


class FileContent(FileResponse):
    """Starlette's answer, with ranges as RFC 9110 has them, over an open file: it is read to its end although it is
    deleted meanwhile. What clients called it stands in the content disposition alone.
    """

    chunk_size = 256 * 1024  # each is a turn of a thread

    def __init__(self, stored: StoredFile, file: BufferedReader) -> None:
        """file: is closed with the answer."""
        super().__init__(
            Path(f"/proc/self/fd/{file.fileno()}"),
            media_type="application/jsonl" if stored.purpose in LINES else "application/octet-stream",
            filename=stored.filename,
            headers={
                "ETag": f'"{stored.id}"',  # its bytes never change
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "Cache-Control": "private, no-cache",
            },
        )
        self._file = file

    @classmethod
    async def of(cls, stored: StoredFile) -> "FileContent":
        """Raises NotFound where the bytes are not on this machine."""
        return cls(stored, await to_thread.run_sync(opened, stored))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def checked(message: Message) -> None:
            # Its refusals are plain text; here they are errors as all others.
            if message["type"] == "http.response.start" and message["status"] == 416:
                said = dict(message["headers"])[b"content-range"].decode()
                raise RangeNotSatisfiable(
                    f"The file has {said.rpartition('/')[2]} bytes.", param="Range", headers={"Content-Range": said}
                )
            if message["type"] == "http.response.start" and message["status"] == 400:
                raise InvalidRequest("The header Range is not one of bytes.", param="Range")
            await send(message)

        with self._file:
            if self.headers["etag"] in Headers(scope=scope).get("if-none-match", ""):
                kept = {name: self.headers[name] for name in ("etag", "cache-control")}
                await Response(status_code=304, headers=kept)(scope, receive, send)
            else:
                await super().__call__(scope, receive, checked)


def opened(stored: StoredFile, param: str = "id") -> BufferedReader:
    """For a thread. Raises RateLimited, Overloaded; NotFound: the database is of several servers, and the file lies
    with another one, or it is an older one's that was restored without its files."""
    try:
        return reading(stored)
    except FileNotFoundError:
        raise NotFound(f"The contents of the file {stored.id} are not on this server.", param=param) from None
