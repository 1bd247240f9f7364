"""/v1/files: files that are uploaded once and named by their id later, as the OpenAI API has them.

Where that leaves it open: a file of the purpose `batch` expires after 30 days unless `expires_after` says otherwise;
the others are kept until they are deleted. `fine-tune` is refused, since nothing is trained here.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import files as answers
from server.api.body import FORM_OVERHEAD, check_charset, content_type, too_large
from server.api.content_coding import decoder
from server.api.deps import CallerDep, ServicesDep
from server.api.openai.file_content import FileContent
from server.api.openai.upload_form import FIELD, UploadForm
from server.api.openapi import documented
from server.api.rows import answer
from server.api.services import Services
from server.api.validation import Body, validate
from server.errors import InvalidRequest, NotServedHere, UnsupportedMediaType
from server.jobs.files.records import UPLOADED, StoredFile
from server.jobs.files.store import Files

router = APIRouter()

PIECE = 128 * 1024
"""Bytes of a body that are kept in memory before they go to the disk."""
BATCH_LIFETIME = 30 * 86400
"""Seconds that a file for a batch is kept where the client does not say."""
SHORTEST, LONGEST = 3600, 30 * 86400
MOST_LISTED = 10_000

_WRITING = CapacityLimiter(8)
"""Threads that write files at once: slow disks must not take those that others need."""


class UploadFields(Body):
    """purpose: one of assistants, batch, evals, user_data, vision. expires_after: seconds from when it was created."""

    purpose: str
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    seconds: int | None = Field(None, alias="expires_after[seconds]", ge=SHORTEST, le=LONGEST)

    @property
    def lifetime(self) -> int | None:
        """Seconds; None for ever. Raises InvalidRequest."""
        for name, value, other in (("anchor", self.anchor, self.seconds), ("seconds", self.seconds, self.anchor)):
            if value is None and other is not None:
                param = f"expires_after[{name}]"
                raise InvalidRequest(
                    f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
                )
        return BATCH_LIFETIME if self.seconds is None and self.purpose == "batch" else self.seconds

    def check(self) -> None:
        """Raises InvalidRequest."""
        if self.purpose == "fine-tune":
            raise InvalidRequest(
                "Nothing is trained here, so there is no use for a file of the purpose 'fine-tune'. `adapters` in a "
                "model's config serves a LoRA adapter that was trained elsewhere.",
                param="purpose",
                code="unsupported_value",
            )
        if self.purpose not in UPLOADED:
            raise InvalidRequest(
                f"'{self.purpose[:40]}' is not one of {', '.join(map(repr, UPLOADED))}.", param="purpose"
            )


def files_of(services: Services) -> Files:
    """Raises NotServedHere on a server that was put together without them."""
    if services.files is None:
        raise NotServedHere("This server keeps no files.")
    return services.files


@router.post("/files")
@documented(form=UploadFields, files={FIELD: True}, answer=answers.File, busy=True)
async def create_file(request: Request, caller: CallerDep, services: ServicesDep) -> Response:
    """Keep a file: it is written to the disk as it comes."""
    kind = content_type(request)
    if kind != "multipart/form-data":
        found = f"Unsupported content type: {kind[:80]}." if kind else "The request has no content type."
        raise UnsupportedMediaType(f"{found} Send multipart/form-data.")
    check_charset(request.headers["content-type"])
    files, most = files_of(services), services.settings.max_file
    announced = 0 if "content-encoding" in request.headers else max(0, _length(request) - FORM_OVERHEAD)
    async with services.pipeline.arriving(caller, paid=False), files.receive(caller.account_id, announced) as incoming:
        form = UploadForm(request.headers["content-type"], incoming)
        async for piece in _pieces(request, most + FORM_OVERHEAD, most):
            await to_thread.run_sync(form.feed, piece, limiter=_WRITING)
        filename = form.finish()
        fields = validate(UploadFields, {name: value for name, value in form.fields.items() if value})
        fields.check()
        lifetime = fields.lifetime
        if not incoming.size:
            raise InvalidRequest("The file is empty.", param=FIELD)
        stored = await files.keep(incoming, filename, fields.purpose, lifetime)
    return answer(file_row(stored))


async def _pieces(request: Request, most: int, shown: int) -> AsyncGenerator[bytes, None]:
    """The body, decompressed, in pieces that are worth a thread's turn. Raises PayloadTooLarge, UnsupportedMediaType,
    InvalidRequest."""
    decoded = decoder(request.headers.get("content-encoding", ""))
    if (length := _length(request)) > most:
        raise too_large(shown, length)
    read = 0
    kept = bytearray()
    async for chunk in request.stream():
        for piece in decoded.pieces(chunk):
            read += len(piece)
            if read > most:
                raise too_large(shown, read)
            kept.extend(piece)
            if len(kept) >= PIECE:
                yield bytes(kept)
                kept.clear()
    decoded.end()
    if kept:
        yield bytes(kept)


def _length(request: Request) -> int:
    """Bytes of the body, as announced; 0 where nothing is said."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdigit() else 0


Order = Annotated[Literal["asc", "desc"], Query()]
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


@router.get("/files")
@documented(answer=answers.Files, missing=True)
async def list_files(
    caller: CallerDep,
    services: ServicesDep,
    after: str | None = None,
    limit: Limit = MOST_LISTED,
    order: Order = "desc",
    purpose: str | None = None,
) -> Response:
    """The newest first, or the oldest. after: the id of the last one seen, for the next page."""
    found = await files_of(services).page(
        caller.account_id, after=after, limit=limit + 1, ascending=order == "asc", purpose=purpose
    )
    return answer(listed([file_row(one) for one in found[:limit]], has_more=len(found) > limit))


@router.get("/files/{file_id}")
@documented(answer=answers.File)
async def retrieve_file(file_id: str, caller: CallerDep, services: ServicesDep) -> Response:
    """What is known of one file."""
    return answer(file_row(await files_of(services).open(caller.account_id, file_id)))


@router.get("/files/{file_id}/content")
@documented(media=("application/octet-stream", "application/jsonl"), ranged=True)
async def retrieve_content(file_id: str, caller: CallerDep, services: ServicesDep) -> Response:
    """Its bytes, whole or in ranges."""
    return await FileContent.of(await files_of(services).open(caller.account_id, file_id))


@router.delete("/files/{file_id}")
@documented(answer=answers.DeletedFile)
async def delete_file(file_id: str, caller: CallerDep, services: ServicesDep) -> Response:
    """Delete it. A batch that has begun with it goes on."""
    await files_of(services).delete(caller.account_id, file_id)
    return answer({"id": file_id, "object": "file", "deleted": True})


def file_row(stored: StoredFile) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": stored.id,
        "object": "file",
        "bytes": stored.size,
        "created_at": int(stored.created_at.timestamp()),
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
    }
    return row if stored.expires_at is None else row | {"expires_at": int(stored.expires_at.timestamp())}


def listed(rows: Sequence[Mapping[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of things with ids, as the OpenAI API lists them."""
    return {
        "object": "list",
        "data": rows,
        "has_more": has_more,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
    }
