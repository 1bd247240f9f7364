"""/admin/v1/datasets and /admin/v1/documents: everybody's, by ids; each act stands in the audit log."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import knowledge as answers
from server.api.body import read_json
from server.api.deps import KeyedDep
from server.api.knowledge.datasets import Limit, State, state_of
from server.api.knowledge.deps import KnowledgeDep
from server.api.knowledge.documents import CHANGES, MOST_BODY, DocumentChange
from server.api.knowledge.rows import dataset_row, document_row, passage_row
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer, listing
from server.knowledge.oversight import Overseen
from server.knowledge.records import DocumentState

router = APIRouter()
LONGEST_QUERY = 2000
"""Characters."""


@router.get("/datasets")
@documented(answer=answers.OverseenDatasets, missing=True)
async def list_datasets(
    knowledge: KnowledgeDep, administration: AdministrationDep, account: str | None = None
) -> Response:
    """By owner and name. account: id or name, for its own only."""
    owner = None if account is None else (await administration.accounts.find_account(account)).id
    return listing([overseen_row(one) for one in await knowledge.oversight.datasets(owner)])


@router.get("/datasets/{dataset_id}")
@documented(answer=answers.OverseenDataset)
async def retrieve_dataset(dataset_id: str, knowledge: KnowledgeDep) -> Response:
    """One dataset."""
    return answer(overseen_row(await knowledge.oversight.dataset(dataset_id)))


@router.delete("/datasets/{dataset_id}")
@documented(answer=answers.Deleted)
async def delete_dataset(dataset_id: str, caller: KeyedDep, knowledge: KnowledgeDep) -> Response:
    """Delete a dataset with all that is in it."""
    await knowledge.oversight.delete(dataset_id, actor=caller.key_id)
    return answer({"id": dataset_id, "deleted": True})


@router.get("/datasets/{dataset_id}/documents")
@documented(answer=answers.Documents)
async def list_documents(
    dataset_id: str,
    knowledge: KnowledgeDep,
    limit: Limit = 100,
    before: str | None = None,
    state: State | None = None,
) -> Response:
    """The newest first. before: the id of the last one seen, for the next page. state: only those in it."""
    found = await knowledge.oversight.documents(dataset_id, limit + 1, before, state_of(state))
    return listing([document_row(document) for document in found[:limit]], has_more=len(found) > limit)


@router.get("/datasets/{dataset_id}/passages")
@documented(answer=answers.FoundPassages)
async def search_dataset(
    dataset_id: str,
    caller: KeyedDep,
    knowledge: KnowledgeDep,
    query: Annotated[str, Query(min_length=1, max_length=LONGEST_QUERY)],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """The passages that have the query's words, best first. It costs nobody anything, and stands in the audit log."""
    found = await knowledge.oversight.search(dataset_id, query, limit, actor=caller.key_id)
    return listing(
        [
            {
                **passage_row(passage.chunk),
                "document_id": passage.document_id,
                "filename": passage.filename,
                "score": passage.score,
            }
            for passage in found
        ]
    )


@router.patch("/documents/{document_id}")
@documented(body=DocumentChange, answer=answers.Document, taken=True, examples=CHANGES)
async def change_document(document_id: str, request: Request, caller: KeyedDep, knowledge: KnowledgeDep) -> Response:
    """End a document's ingestion, or begin it anew: whoever added it pays for it."""
    body = await read_json(request, DocumentChange, limit=MOST_BODY)
    act = knowledge.oversight.retry if body.state == "queued" else knowledge.oversight.cancel
    return answer(document_row(await act(document_id, actor=caller.key_id)))


@router.delete("/documents/{document_id}")
@documented(answer=answers.Deleted)
async def delete_document(document_id: str, caller: KeyedDep, knowledge: KnowledgeDep) -> Response:
    """Take a document out of its dataset."""
    await knowledge.oversight.delete_document(document_id, actor=caller.key_id)
    return answer({"id": document_id, "deleted": True})


def overseen_row(one: Overseen) -> dict[str, Any]:
    return {
        **dataset_row(one.dataset),
        "owner": {"id": one.dataset.owner_id, "name": one.owner_name},
        "states": {state.value: one.states.get(state, 0) for state in DocumentState},
        "shared_with": one.shared_with,
    }
