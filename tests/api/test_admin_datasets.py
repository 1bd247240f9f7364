"""/admin/v1/datasets and /admin/v1/documents: everybody's, for admins only, each act in the audit log."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.core import Task
from tests.api.test_datasets import ABSENT, added, answered, ended, made
from tests.api.test_openapi import document_of

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


async def ada_of(office: "Office") -> httpx.AsyncClient:
    await office.administration.create_account("ada", metered=False)
    return office.fake.client(key=await office.key("inference", account="ada"))


async def acts(office: "Office") -> list[tuple[str, str, dict[str, Any]]]:
    """Those on datasets and documents, oldest first."""
    found = answered(await office.admin.get("/admin/v1/audit"))["data"]
    assert {act["actor"] for act in found if act["action"].startswith(("dataset", "document"))} <= {office.admin_id}
    return [
        (act["action"], act["target"], act["details"])
        for act in reversed(found)
        if act["action"].startswith(("dataset", "document"))
    ]


async def test_everybodys_are_listed_with_their_owner_and_states(office: "Office") -> None:
    async with await ada_of(office) as ada, office.fake.client(key=await office.key("inference")) as other:
        hers, his = await made(ada), await made(other, "minutes")
        await added(ada, hers)
        await added(ada, hers, " ", "empty.txt")
        rows = answered(await office.admin.get("/admin/v1/datasets"))["data"]
        assert [(one["owner"]["name"], one["name"]) for one in rows] == [("ada", "handbook"), ("default", "minutes")]
        one = rows[0]
        assert one == answered(await office.admin.get(f"/admin/v1/datasets/{hers['id']}"))
        assert (one["id"], one["documents"], one["passages"], one["shared_with"]) == (hers["id"], 1, 3, 0)
        states = {"queued": 0, "reading": 0, "embedding": 0, "ready": 1, "failed": 1, "cancelled": 0}
        assert one["states"] == states
        assert rows[1]["states"] == dict.fromkeys(states, 0)
        own = answered(await office.admin.get("/admin/v1/datasets", params={"account": "default"}))["data"]
        assert [each["id"] for each in own] == [his["id"]]
        assert (await office.admin.get("/admin/v1/datasets", params={"account": "nobody"})).status_code == 404
        documents = f"/admin/v1/datasets/{hers['id']}/documents"
        listed = answered(await office.admin.get(documents))
        assert [(each["filename"], each["state"]) for each in listed["data"]] == [
            ("empty.txt", "failed"),
            ("rules.md", "ready"),
        ]
        page = answered(await office.admin.get(documents, params={"limit": 1}))
        assert (len(page["data"]), page["has_more"]) == (1, True)
        rest = answered(await office.admin.get(documents, params={"before": page["data"][0]["id"]}))
        assert [each["filename"] for each in rest["data"]] == ["rules.md"]
    assert await acts(office) == [], "who only lists leaves no trace"


async def test_one_is_searched_by_words_and_at_nobodys_cost(office: "Office") -> None:
    async with await ada_of(office) as ada:
        dataset = await made(ada)
        document = await added(ada, dataset)
        embedded = len(office.fake.engines[Task.EMBEDDING].jobs)
        found = answered(
            await office.admin.get(f"/admin/v1/datasets/{dataset['id']}/passages", params={"query": "begins work"})
        )["data"]
        assert [(one["text"], one["heading"], one["document_id"]) for one in found] == [
            ("Work begins at nine.", "Hours", document["id"])
        ]
        assert len(office.fake.engines[Task.EMBEDDING].jobs) == embedded
        assert await acts(office) == [("dataset.search", dataset["id"], {"query": "begins work"})]
        nothing = await office.admin.get(f"/admin/v1/datasets/{dataset['id']}/passages", params={"query": "zebra"})
        assert answered(nothing)["data"] == []
        for params in ({}, {"query": ""}, {"query": "x" * 2001}, {"query": "x", "limit": 51}):
            path = f"/admin/v1/datasets/{dataset['id']}/passages"
            assert (await office.admin.get(path, params=params)).status_code == 400, params


async def test_one_is_deleted_and_its_name_is_free(office: "Office") -> None:
    async with await ada_of(office) as ada:
        dataset = await made(ada)
        document = await added(ada, dataset)
        gone = answered(await office.admin.delete(f"/admin/v1/datasets/{dataset['id']}"))
        assert gone == {"id": dataset["id"], "deleted": True}
        assert answered(await ada.get("/v1/datasets"))["data"] == []
        assert (await ada.get(f"/v1/documents/{document['id']}/passages")).status_code == 404
        assert (await office.admin.delete(f"/admin/v1/datasets/{dataset['id']}")).status_code == 404
        owner = (await office.administration.accounts.find_account("ada")).id
        details = {"name": "handbook", "owner": owner, "documents": 1, "chunks": 3}
        assert await acts(office) == [("dataset.delete", dataset["id"], details)]
        assert (await made(ada))["id"] != dataset["id"]


async def test_documents_are_begun_again_ended_and_deleted(office: "Office") -> None:
    async with await ada_of(office) as ada:
        dataset = await made(ada)
        failed = await added(ada, dataset, " ", "empty.txt")
        path = f"/admin/v1/documents/{failed['id']}"
        assert answered(await office.admin.patch(path, json={"state": "queued"}))["state"] in ("queued", "reading")
        assert (await ended(ada, failed["id"]))["state"] == "failed"
        assert answered(await office.admin.patch(path, json={"state": "cancelled"}))["state"] == "failed"
        ready = await added(ada, dataset)
        refused = await office.admin.patch(f"/admin/v1/documents/{ready['id']}", json={"state": "queued"})
        assert refused.status_code == 409
        assert answered(await office.admin.delete(path)) == {"id": failed["id"], "deleted": True}
        assert (await office.admin.delete(path)).status_code == 404
        assert (await ada.get(f"/v1/documents/{failed['id']}")).status_code == 404
        details = {"dataset": dataset["id"], "filename": "empty.txt"}
        # What changed nothing is no act.
        assert await acts(office) == [
            ("document.retry", failed["id"], details),
            ("document.delete", failed["id"], details),
        ]


async def test_who_added_a_document_pays_for_another_attempt(office: "Office") -> None:
    async with await ada_of(office) as ada:
        dataset = await made(ada)
        document = await added(ada, dataset, " ", "empty.txt")
        [key] = [one for one in await office.administration.accounts.list_keys() if one.account_id != "default"
                 and one.scopes == frozenset({"inference"})]  # fmt: skip
        await office.administration.accounts.revoke_key(key.id)
        answered(await office.admin.patch(f"/admin/v1/documents/{document['id']}", json={"state": "queued"}))
        rows = f"/admin/v1/datasets/{dataset['id']}/documents"
        while (row := answered(await office.admin.get(rows))["data"][0])["state"] != "failed":
            pass
        assert "not valid any more" in row["error"]


async def test_what_is_not_there_is_404(office: "Office") -> None:
    ds, doc = ABSENT["ds_"], ABSENT["doc_"]
    for method, path, more in (
        ("GET", f"/admin/v1/datasets/{ds}", {}),
        ("DELETE", f"/admin/v1/datasets/{ds}", {}),
        ("GET", f"/admin/v1/datasets/{ds}/documents", {}),
        ("GET", f"/admin/v1/datasets/{ds}/passages", {"params": {"query": "x"}}),
        ("PATCH", f"/admin/v1/documents/{doc}", {"json": {"state": "queued"}}),
        ("PATCH", f"/admin/v1/documents/{doc}", {"json": {"state": "cancelled"}}),
        ("DELETE", f"/admin/v1/documents/{doc}", {}),
        ("GET", "/admin/v1/datasets/%00", {}),
        ("DELETE", "/admin/v1/documents/%00", {}),
    ):
        answer = await office.admin.request(method, path, **more)  # type: ignore[arg-type]
        assert answer.status_code == 404, (method, path, answer.text)
    assert await acts(office) == []


async def test_only_admins_do_that(office: "Office") -> None:
    async with await ada_of(office) as ada:
        dataset = await made(ada)
        document = await added(ada, dataset)
        for method, path in (
            ("GET", "/admin/v1/datasets"),
            ("GET", f"/admin/v1/datasets/{dataset['id']}"),
            ("DELETE", f"/admin/v1/datasets/{dataset['id']}"),
            ("GET", f"/admin/v1/datasets/{dataset['id']}/documents"),
            ("GET", f"/admin/v1/datasets/{dataset['id']}/passages"),
            ("PATCH", f"/admin/v1/documents/{document['id']}"),
            ("DELETE", f"/admin/v1/documents/{document['id']}"),
        ):
            assert (await ada.request(method, path)).status_code == 403, (method, path)
        assert answered(await ada.get(f"/v1/documents/{document['id']}"))["state"] == "ready"


async def test_answers_are_as_the_document_says(office: "Office") -> None:
    described = await document_of(office.fake)
    async with await ada_of(office) as ada:
        dataset = await made(ada)
        document = await added(ada, dataset)
        base = f"/admin/v1/datasets/{dataset['id']}"
        for path in ("/admin/v1/datasets", base, f"{base}/documents", f"{base}/passages?query=work"):
            described.check(await office.admin.get(path))
        described.check(await office.admin.patch(f"/admin/v1/documents/{document['id']}", json={"state": "cancelled"}))
        described.check(await office.admin.delete(f"/admin/v1/documents/{document['id']}"))
        described.check(await office.admin.delete(base))
