"""/admin/v1/accounts: e-mail addresses."""

from typing import TYPE_CHECKING

import pytest

from tests.api.test_admin_changes import answered

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


async def test_an_account_has_an_address(office: "Office") -> None:
    made = answered(await office.admin.post("/admin/v1/accounts", json={"name": "team", "email": "Team@Example.org"}))
    assert (made["email"], made["number"]) == ("team@example.org", 2)
    assert answered(await office.admin.get("/admin/v1/accounts/TEAM@example.org")) == made
    changed = answered(await office.admin.patch("/admin/v1/accounts/team", json={"email": "t@example.org"}))
    assert changed == {**made, "email": "t@example.org"}
    changed = answered(await office.admin.patch("/admin/v1/accounts/team", json={"email": None, "weight": 2}))
    assert (changed["email"], changed["weight"]) == ("t@example.org", 2)
    changed = answered(await office.admin.patch("/admin/v1/accounts/team", json={"email": "none"}))
    assert changed["email"] is None
    act = answered(await office.admin.get("/admin/v1/audit"))["data"][0]
    assert act["actor"] == office.admin_id
    assert act["details"] == {"before": {"email": "t@example.org"}, "after": {"email": None}}


@pytest.mark.parametrize("email", ["", "team", "a@b@c", "Taken@example.org", 5])
async def test_a_wrong_address_is_refused_by_name(office: "Office", email: object) -> None:
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "first", "email": "taken@example.org"}))
    answered(await office.admin.post("/admin/v1/accounts", json={"name": "team"}))
    for refused in (
        await office.admin.post("/admin/v1/accounts", json={"name": "other", "email": email}),
        await office.admin.patch("/admin/v1/accounts/team", json={"email": email}),
    ):
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "email"
    assert [row["name"] for row in answered(await office.admin.get("/admin/v1/accounts"))["data"]] == [
        "default",
        "first",
        "team",
    ]
