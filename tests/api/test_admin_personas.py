"""/admin/v1/personas: for admins, by field, in the audit log."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

URL = "/admin/v1/personas"
CLERK = {"name": "Clerk", "description": "Short answers.", "prompt": "You are a clerk."}


def answered(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_one_is_made_listed_changed_and_deleted(office: "Office") -> None:
    made = answered(await office.admin.post(URL, json=CLERK))
    assert made == {"id": 1000, **CLERK, "origin": "database", "version": 1}
    rows = answered(await office.admin.get(URL))["data"]
    assert [row["id"] for row in rows] == [*range(1, 13), 1000]
    assert rows[-1] == made
    changed = answered(await office.admin.patch(f"{URL}/1000", json={"prompt": "Be brief.", "name": None}))
    assert changed == {**made, "prompt": "Be brief.", "version": 2} == answered(await office.admin.get(f"{URL}/1000"))
    assert answered(await office.admin.delete(f"{URL}/1000")) == {"id": 1000, "deleted": True, "now": None}
    assert (await office.admin.get(f"{URL}/1000")).status_code == 404
    [deleted, change, create] = answered(await office.admin.get("/admin/v1/audit", params={"limit": 3}))["data"]
    assert [act["action"] for act in (deleted, change, create)] == [
        "persona.delete", "persona.change", "persona.create",
    ]  # fmt: skip
    assert {(act["actor"], act["target"]) for act in (deleted, change, create)} == {(office.admin_id, "1000")}
    assert change["details"]["after"] == {"prompt": "Be brief.", "version": 2}


async def test_the_default_one_is_changed_and_comes_back(office: "Office") -> None:
    first = answered(await office.admin.get(f"{URL}/1"))
    assert first["origin"] == "built-in"
    changed = answered(await office.admin.patch(f"{URL}/1", json={"prompt": "You work for ACME."}))
    assert changed == {**first, "prompt": "You work for ACME.", "origin": "database", "version": 2}
    assert answered(await office.admin.delete(f"{URL}/1")) == {"id": 1, "deleted": True, "now": first}
    refused = await office.admin.delete(f"{URL}/1")
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "id")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"name": "Clerk"}, 400, "prompt"),
        ({**CLERK, "name": 5}, 400, "name"),
        ({**CLERK, "name": "writer"}, 400, "name"),
        ({**CLERK, "prompt": "x" * 20_001}, 400, "prompt"),
        ({**CLERK, "promt": "x"}, 400, "promt"),
        ({**CLERK, "id": "40"}, 400, "id"),
        ({**CLERK, "id": True}, 400, "id"),
        ({**CLERK, "id": 0}, 400, "id"),
        ({**CLERK, "id": 3}, 409, "id"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(office: "Office", body: Any, status: int, param: str) -> None:
    before = answered(await office.admin.get(URL))
    refused = await office.admin.post(URL, json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)
    assert answered(await office.admin.get(URL)) == before


@pytest.mark.parametrize("name", ["0", "99", "x", "-1", "1.0", "9" * 400])
async def test_what_is_not_there_is_404(office: "Office", name: str) -> None:
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = await office.admin.request(method, f"{URL}/{name}", json=body)
        assert answer.status_code == 404, (method, answer.text)


async def test_only_admins_see_and_change_them(office: "Office") -> None:
    async with office.fake.client(key=await office.key("inference", "usage")) as client:
        for method, path in (
            ("GET", URL),
            ("POST", URL),
            ("GET", f"{URL}/1"),
            ("PATCH", f"{URL}/1"),
            ("DELETE", f"{URL}/1"),
        ):
            answer = await client.request(method, path, json=CLERK if method != "GET" else None)
            assert answer.status_code == 403, (method, path)
