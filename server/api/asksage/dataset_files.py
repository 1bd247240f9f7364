"""/server/…dataset…: which datasets there are, what is in them, and taking it out. Personas are listed here too."""

from contextlib import aclosing
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.asksage_users import Said
from server.api.asksage import body as bodies
from server.api.asksage.dataset_access import Named
from server.api.asksage.dialect import said
from server.api.asksage.own import MOST_BODY, Nothing, shown_time
from server.api.deps import CallerDep
from server.api.knowledge.deps import KnowledgeDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body
from server.knowledge.records import Document

router = APIRouter(route_class=PlainRoute)


class FilesBody(Body):
    """dataset: of one dataset alone."""

    dataset: str | None = None


class FileBody(Named):
    filename: str


@router.api_route("/get-personas", methods=["GET", "POST"])
@documented(body=Nothing, answer=Said, examples={"nothing": {}})
async def get_personas(knowledge: KnowledgeDep) -> Response:
    """By number; 1 is the one that speaks where none is asked for."""
    return said(
        [
            {**persona.more, "id": persona.id, "name": persona.name, "description": persona.description}
            for persona in await knowledge.personas.list()
        ]
    )


@router.api_route("/get-datasets", methods=["GET", "POST"])
@documented(body=Nothing, answer=Said, examples={"nothing": {}})
async def get_datasets(caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Full names of what the caller may read, its own first."""
    return said([dataset.full_name for dataset in await knowledge.datasets.list(caller)])


@router.post("/get-dataset-info")
@documented(body=Named, form=Named, answer=Said, missing=True, examples={"a dataset": {"dataset": "handbook"}})
async def get_dataset_info(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """One dataset."""
    body = (await bodies.read(request, Named, limit=MOST_BODY)).body
    dataset = await knowledge.datasets.find(caller, body.dataset)
    return said(
        {
            "id": dataset.id,
            "name": dataset.full_name,
            "classification": dataset.classification or "Unclassified",
            "is_tabular": False,
            "permissions": dataset.permission.name.lower(),
            "documents": dataset.documents,
            "chunks": dataset.chunks,
        }
    )


@router.delete("/dataset")
@documented(body=Named, form=Named, answer=Said, missing=True, examples={"a dataset": {"dataset": "handbook"}})
async def delete_dataset(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Delete a dataset of the caller's own, with all that is in it."""
    body = (await bodies.read(request, Named, limit=MOST_BODY)).body
    await knowledge.datasets.delete(caller, body.dataset)
    return said("OK")


@router.api_route("/get-all-files-ingested", methods=["GET", "POST"])
@documented(body=FilesBody, answer=Said, missing=True, examples={"of one dataset": {"dataset": "handbook"}})
async def get_all_files_ingested(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Documents, the newest first, those too that are under way, have failed or were cancelled: see `state`."""
    body = (await bodies.read(request, FilesBody, limit=MOST_BODY)).body
    # As `said` has it, but not in one go: others have their turn between two pages.
    async with aclosing(knowledge.documents.pages(caller, body.dataset)) as found:
        pages = [orjson.dumps([_row(*one) for one in page], option=orjson.OPT_SORT_KEYS)[1:-1] async for page in found]
    return Response(b'{"response":[' + b",".join(pages) + b'],"status":200}\n', media_type="application/json")


@router.api_route("/delete-filename-from-dataset", methods=["GET", "POST"])
@documented(
    body=FileBody,
    form=FileBody,
    answer=Said,
    missing=True,
    examples={"a file": {"dataset": "handbook", "filename": "leave.pdf"}},
)
async def delete_filename_from_dataset(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Take a file out of a dataset; it is found no longer."""
    body = (await bodies.read(request, FileBody, limit=MOST_BODY)).body
    await knowledge.documents.delete(caller, body.dataset, body.filename)
    return said("OK")


def _row(dataset: str, document: Document) -> dict[str, Any]:
    row = document.listed(dataset)
    row["date_time"] = shown_time(row.pop("created_at"))
    row["updated"] = shown_time(row.pop("updated_at"))
    return row
