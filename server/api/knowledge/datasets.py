"""/v1/datasets: those that the caller may read, and what is in them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import knowledge as answers
from server.api.body import read_form, read_json
from server.api.deps import CallerDep, ServicesDep
from server.api.knowledge.adding import add
from server.api.knowledge.deps import KnowledgeDep
from server.api.knowledge.rows import dataset_row, document_row
from server.api.openapi import documented
from server.api.rows import answer, listing
from server.api.validation import Body
from server.core import Task
from server.knowledge.records import DocumentState

router = APIRouter()
MOST_BODY = 64 * 1024
LONGEST_CONTEXT = 1000
"""Characters."""

Limit = Annotated[int, Query(ge=1, le=1000)]
State = Literal["queued", "reading", "embedding", "ready", "failed", "cancelled"]


class NewDataset(Body):
    """name: 4 to 100 characters. classification: Unclassified or CUI."""

    model_config = ConfigDict(extra="forbid")

    name: str
    classification: str | None = None


class NewDocument(Body):
    """context: what is shown with each of its references."""

    context: str = Field("", max_length=LONGEST_CONTEXT)


@router.get("/datasets")
@documented(answer=answers.Datasets)
async def list_datasets(caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Those that the caller may read, its own first, by name."""
    return listing([dataset_row(dataset) for dataset in await knowledge.datasets.list(caller)])


@router.post("/datasets")
@documented(body=NewDataset, answer=answers.Dataset, taken=True, examples={"a dataset": {"name": "house-rules"}})
async def create_dataset(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Make a dataset, which is the caller's own. An account has one of each name."""
    body = await read_json(request, NewDataset, limit=MOST_BODY)
    return answer(dataset_row(await knowledge.datasets.create(caller, body.name, body.classification)))


@router.get("/datasets/{dataset_id}")
@documented(answer=answers.Dataset)
async def retrieve_dataset(dataset_id: str, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """One dataset."""
    return answer(dataset_row(await knowledge.datasets.get(caller, dataset_id)))


@router.delete("/datasets/{dataset_id}")
@documented(answer=answers.Deleted)
async def delete_dataset(dataset_id: str, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Delete a dataset of the caller's own, with all that is in it."""
    await knowledge.datasets.remove(caller, dataset_id)
    return answer({"id": dataset_id, "deleted": True})


@router.get("/datasets/{dataset_id}/documents")
@documented(answer=answers.Documents)
async def list_documents(
    dataset_id: str,
    caller: CallerDep,
    knowledge: KnowledgeDep,
    limit: Limit = 100,
    before: str | None = None,
    state: State | None = None,
) -> Response:
    """The newest first, those too that are under way, have failed or were cancelled.

    before: the id of the last one seen, for the next page. state: only those in it.
    """
    found = await knowledge.documents.page(caller, dataset_id, limit + 1, before, state_of(state))
    return listing([document_row(document) for document in found[:limit]], has_more=len(found) > limit)


@router.post("/datasets/{dataset_id}/documents")
@documented(form=NewDocument, files={"file": True}, inference=True, answer=answers.Document)
async def add_document(
    dataset_id: str, request: Request, caller: CallerDep, services: ServicesDep, knowledge: KnowledgeDep
) -> Response:
    """Put a file into a dataset, in place of one of its name. The answer does not wait until it can be found.

    It is found once its `state` is `ready`. The caller pays for its ingestion, which goes on by itself.
    """
    dataset = await knowledge.datasets.get(caller, dataset_id)
    form = await read_form(request, file_limit=services.settings.max_document, task=Task.EMBEDDING)
    file, context = form.file(), form.parse(NewDocument).context
    added = await add(services, knowledge, caller, dataset.full_name, file, context)
    return answer(document_row(added))


def state_of(named: State | None) -> DocumentState | None:
    return None if named is None else DocumentState(named)
