"""/admin/v1/files: everybody's, by ids; what is in them is not shown."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from server.api.answers import files as answers
from server.api.deps import KeyedDep, ServicesDep
from server.api.openai.files import file_row, files_of, listed
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer
from server.jobs.files.oversight import FileOversight

router = APIRouter()


@router.get("/files")
@documented(answer=answers.OverseenFiles, missing=True)
async def list_files(
    services: ServicesDep,
    administration: AdministrationDep,
    account: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    purpose: str | None = None,
) -> Response:
    """The newest first. account: id or name, for its own only. after: the id of the last one seen."""
    owner = None if account is None else (await administration.accounts.find_account(account)).id
    found = await FileOversight(files_of(services)).page(owner, after=after, limit=limit + 1, purpose=purpose)
    rows = [{**file_row(one), "account": {"id": one.account_id, "name": name}} for one, name in found[:limit]]
    return answer(listed(rows, has_more=len(found) > limit))


@router.delete("/files/{file_id}")
@documented(answer=answers.DeletedFile)
async def delete_file(file_id: str, caller: KeyedDep, services: ServicesDep) -> Response:
    """Delete a file, whoever's it is."""
    await FileOversight(files_of(services)).delete(file_id, actor=caller.key_id)
    return answer({"id": file_id, "object": "file", "deleted": True})
