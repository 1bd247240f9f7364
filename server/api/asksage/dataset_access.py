"""/user/…dataset…: datasets are made and deleted, and other accounts let in."""

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.accounts.administration import Administration
from server.api.answers.asksage_users import Said
from server.api.asksage import body as bodies
from server.api.asksage.dialect import said
from server.api.asksage.own import MOST_BODY, NoAccount, account_by
from server.api.deps import CallerDep
from server.api.knowledge.deps import KnowledgeDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.rows import AdministrationDep
from server.api.validation import Body
from server.core import Caller
from server.errors import InvalidRequest
from server.knowledge.knowledge import Knowledge
from server.knowledge.names import read_name
from server.knowledge.records import Permission

router = APIRouter(route_class=PlainRoute)

SHARED = {"read": Permission.READ, "edit": Permission.EDIT, "admin": Permission.ADMIN}


class Named(Body):
    """dataset: its short name, or its full one: `user_custom_34125_handbook_content`."""

    dataset: str


class NewDataset(Named):
    """is_tabular: false; tables are added to a dataset like other files."""

    classification: str | None = None
    is_tabular: bool = False


class Sharing(Named):
    """email: the account's."""

    email: str


class PermissionChange(Sharing):
    permissions: Literal["read", "edit", "admin"] = "read"


class Checking(Body):
    """check_permissions: changes nothing; permissions are always shown as they are."""

    check_permissions: bool = True


@router.post("/add-dataset")
@documented(body=NewDataset, form=NewDataset, answer=Said, examples={"a dataset": {"dataset": "handbook"}})
async def add_dataset(
    request: Request, caller: CallerDep, knowledge: KnowledgeDep, administration: AdministrationDep
) -> Response:
    """Make a dataset, which is the caller's own."""
    body = (await bodies.read(request, NewDataset, limit=MOST_BODY)).body
    if body.is_tabular:
        raise InvalidRequest("Tables are added to an ordinary dataset here.", param="is_tabular")
    name = read_name(body.dataset)
    short = body.dataset
    # Clients' documentation has the full name here, with the caller's own number in it.
    if name is not None and name.owner_number is not None:
        own = await administration.accounts.find_account(caller.account_id)
        short = name.short if name.owner_number == own.number else short
    await knowledge.datasets.create(caller, short, body.classification)
    return said("OK")


@router.post("/delete-dataset")
@router.post("/delete-datasets")
@documented(body=Named, form=Named, answer=Said, missing=True, examples={"a dataset": {"dataset": "handbook"}})
async def delete_dataset(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Delete a dataset of the caller's own, with all that is in it."""
    body = (await bodies.read(request, Named, limit=MOST_BODY)).body
    await knowledge.datasets.delete(caller, body.dataset)
    return said("OK")


@router.post("/assign-dataset")
@documented(
    body=Sharing,
    form=Sharing,
    answer=Said,
    missing=True,
    examples={"read by another account": {"dataset": "handbook", "email": "bob@example.org"}},
)
async def assign_dataset(
    request: Request, caller: CallerDep, knowledge: KnowledgeDep, administration: AdministrationDep
) -> Response:
    """Let an account read a dataset. One that may do more already keeps what it may."""
    body = (await bodies.read(request, Sharing, limit=MOST_BODY)).body
    there = {one.account_id for one in await knowledge.datasets.assignments(caller, body.dataset)}
    account = await account_by(body.email, administration)
    if account.id not in there:
        await knowledge.datasets.assign(caller, body.dataset, account.id, Permission.READ)
    return said("OK")


@router.post("/deassign-dataset")
@documented(
    body=Sharing,
    form=Sharing,
    answer=Said,
    missing=True,
    examples={"no longer": {"dataset": "handbook", "email": "bob@example.org"}},
)
async def deassign_dataset(
    request: Request, caller: CallerDep, knowledge: KnowledgeDep, administration: AdministrationDep
) -> Response:
    """Let an account in no longer; whoever was let in may leave."""
    body = (await bodies.read(request, Sharing, limit=MOST_BODY)).body
    await knowledge.datasets.find(caller, body.dataset)
    account = await administration.accounts.account_of(body.email.strip())
    if account is None or account.id != caller.account_id:
        # Before anything is said of the address: it is for admins to ask about.
        await knowledge.datasets.find(caller, body.dataset, Permission.ADMIN)
    if account is None:
        raise NoAccount(param="email")
    await knowledge.datasets.deassign(caller, body.dataset, account.id)
    return said("OK")


@router.post("/update-permission-dataset")
@documented(
    body=PermissionChange,
    form=PermissionChange,
    answer=Said,
    missing=True,
    examples={"may add": {"dataset": "handbook", "email": "bob@example.org", "permissions": "edit"}},
)
async def update_permission_dataset(
    request: Request, caller: CallerDep, knowledge: KnowledgeDep, administration: AdministrationDep
) -> Response:
    """Let an account in with a permission, or change the one it has."""
    body = (await bodies.read(request, PermissionChange, limit=MOST_BODY)).body
    await knowledge.datasets.find(caller, body.dataset, Permission.ADMIN)
    account = await account_by(body.email, administration)
    await knowledge.datasets.assign(caller, body.dataset, account.id, SHARED[body.permissions])
    return said("OK")


@router.api_route("/get-datasets-with-permissions", methods=["GET", "POST"])
@documented(body=Checking, answer=Said, examples={"all of them": {}})
async def datasets_with_permissions(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """What the caller may read, each with what it may do: read, edit, admin or owner."""
    await bodies.read(request, Checking, limit=MOST_BODY)
    return said(
        [
            {
                "dataset": dataset.full_name,
                "classification": dataset.classification or "Unclassified",
                "permissions": dataset.permission.name.lower(),
            }
            for dataset in await knowledge.datasets.list(caller)
        ]
    )


@router.post("/get-dataset-permissions")
@router.post("/get-dataset-assignments")
@documented(body=Named, form=Named, answer=Said, missing=True, examples={"who is let in": {"dataset": "handbook"}})
async def dataset_assignments(
    request: Request, caller: CallerDep, knowledge: KnowledgeDep, administration: AdministrationDep
) -> Response:
    """The accounts that were let in, for the dataset's admins."""
    body = (await bodies.read(request, Named, limit=MOST_BODY)).body
    return said(await _assignments(knowledge, administration, caller, body.dataset))


async def _assignments(
    knowledge: Knowledge, administration: Administration, caller: Caller, dataset: str
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for one in await knowledge.datasets.assignments(caller, dataset):
        account = await administration.accounts.find_account(one.account_id)
        rows.append({"email": account.email, "name": account.name, "permissions": one.permission.name.lower()})
    return rows
