"""/v1/documents: one document by its id, and its text."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import knowledge as answers
from server.api.body import read_json
from server.api.deps import CallerDep
from server.api.knowledge.deps import KnowledgeDep
from server.api.knowledge.rows import document_row, passage_row
from server.api.openapi import documented
from server.api.rows import answer, listing
from server.api.validation import Body

router = APIRouter()
MOST_BODY = 1024
MOST_PLACE = 2**31 - 1


class DocumentChange(Body):
    """state: `cancelled` ends its ingestion, and one that has ended stays as it is; `queued` begins one anew that
    failed or was cancelled.
    """

    model_config = ConfigDict(extra="forbid")

    state: Literal["queued", "cancelled"]


CHANGES = {"no more of it": {"state": "cancelled"}}
"""What may be sent, for the documentation."""


@router.get("/documents/{document_id}")
@documented(answer=answers.Document)
async def retrieve_document(document_id: str, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """One document, and how far its ingestion is."""
    return answer(document_row(await knowledge.documents.find(caller, document_id)))


@router.patch("/documents/{document_id}")
@documented(body=DocumentChange, answer=answers.Document, taken=True, examples=CHANGES)
async def change_document(document_id: str, request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """End a document's ingestion, or begin it anew: then the caller pays for it."""
    body = await read_json(request, DocumentChange, limit=MOST_BODY)
    act = knowledge.ingestion.retry if body.state == "queued" else knowledge.ingestion.cancel
    return answer(document_row(await act(caller, document_id)))


@router.delete("/documents/{document_id}")
@documented(answer=answers.Deleted)
async def delete_document(document_id: str, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Take a document out of its dataset; it is found no longer."""
    await knowledge.documents.remove(caller, document_id)
    return answer({"id": document_id, "deleted": True})


@router.get("/documents/{document_id}/passages")
@documented(answer=answers.Passages)
async def list_passages(
    document_id: str,
    caller: CallerDep,
    knowledge: KnowledgeDep,
    around: Annotated[int | None, Query(ge=0, le=MOST_PLACE)] = None,
    start: Annotated[int, Query(ge=0, le=MOST_PLACE)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The document's text in order, as it is searched; none before the document is ready.

    start: the place of the first passage. around: that of one in the middle, such as the `place` of a citation.
    """
    first = start if around is None else max(0, around - limit // 2)
    document, found = await knowledge.documents.passages(caller, document_id, first, limit)
    has_more = bool(found) and found[-1].place + 1 < document.chunks
    return listing([passage_row(chunk) for chunk in found], document=document_row(document), has_more=has_more)
