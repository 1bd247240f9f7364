"""/v1/datasets and /v1/documents: made, filled, read by passages, deleted; to others as if they were not there."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.core import Task
from server.knowledge.records import Permission
from server.testing import FakeServer
from tests.api.asksage.conftest import Town, said, town
from tests.api.openapi_document import Document
from tests.api.test_openapi import document_of

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

__all__ = ["town"]

RULES = "# Leave\n\nLeave is 30 days a year.\n\n# Hours\n\nWork begins at nine.\n\n## Friday\n\nIt ends at three.\n"


def answered(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


async def made(client: httpx.AsyncClient, name: str = "handbook") -> dict[str, Any]:
    dataset: dict[str, Any] = answered(await client.post("/v1/datasets", json={"name": name}))
    return dataset


async def added(
    client: httpx.AsyncClient, dataset: dict[str, Any], text: str = RULES, name: str = "rules.md", **fields: str
) -> dict[str, Any]:
    """Uploaded and at its end."""
    files = {"file": (name, text.encode())}
    document = answered(await client.post(f"/v1/datasets/{dataset['id']}/documents", data=fields, files=files))
    return await ended(client, document["id"])


async def ended(client: httpx.AsyncClient, document_id: str) -> dict[str, Any]:
    while True:
        document: dict[str, Any] = answered(await client.get(f"/v1/documents/{document_id}"))
        if document["state"] in ("ready", "failed", "cancelled"):
            return document
        await asyncio.sleep(0.01)


async def test_one_is_made_filled_and_deleted(town: Town) -> None:
    ada = town.ada
    dataset = await made(ada)
    assert (dataset["name"], dataset["permission"], dataset["documents"]) == ("handbook", "owner", 0)
    assert [dataset["full_name"]] == await said(ada, "/server/get-datasets")
    document = await added(ada, dataset, context="of 2026")
    assert (document["filename"], document["context"], document["state"]) == ("rules.md", "of 2026", "ready")
    assert document["size"] == len(RULES)
    assert document["passages"] == 3
    now = answered(await ada.get(f"/v1/datasets/{dataset['id']}"))
    assert now == {**dataset, "documents": 1, "passages": 3, "model": now["model"]}
    assert answered(await ada.get("/v1/datasets"))["data"] == [now]
    listed = answered(await ada.get(f"/v1/datasets/{dataset['id']}/documents"))
    assert (listed["data"], listed["has_more"]) == ([document], False)

    assert answered(await ada.delete(f"/v1/documents/{document['id']}")) == {"id": document["id"], "deleted": True}
    assert (await ada.get(f"/v1/documents/{document['id']}")).status_code == 404
    assert answered(await ada.get(f"/v1/datasets/{dataset['id']}"))["documents"] == 0
    assert answered(await ada.delete(f"/v1/datasets/{dataset['id']}")) == {"id": dataset["id"], "deleted": True}
    gone = await ada.get(f"/v1/datasets/{dataset['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "dataset_not_found")
    assert answered(await ada.get("/v1/datasets"))["data"] == []


async def test_a_citation_leads_to_its_passage_in_the_document(town: Town) -> None:
    ada = town.ada
    dataset = await made(ada)
    document = await added(ada, dataset)
    asked = await ada.post("/server/query", json={"message": "When does work begin?", "dataset": dataset["full_name"]})
    for cited in asked.json()["citations"]:
        assert cited["document_id"] == document["id"]
        path = f"/v1/documents/{cited['document_id']}/passages"
        found = answered(await ada.get(path, params={"around": cited["place"], "limit": 1}))
        same = {name: cited[name] for name in ("place", "text", "heading", "page", "start", "end")}
        assert found["data"] == [same]
        assert found["document"] == document


async def test_passages_come_in_order_and_in_pages(town: Town) -> None:
    ada = town.ada
    dataset = await made(ada)
    text = "\n\n".join(f"# Part {number}\n\nWords of part {number}." for number in range(10))
    path = f"/v1/documents/{(await added(ada, dataset, text))['id']}/passages"

    async def places(**params: int) -> tuple[list[int], bool]:
        found = answered(await ada.get(path, params=params))
        return [one["place"] for one in found["data"]], found["has_more"]

    assert await places() == ([*range(10)], False)
    assert await places(limit=4) == ([0, 1, 2, 3], True)
    assert await places(start=4, limit=4) == ([4, 5, 6, 7], True)
    assert await places(start=8, limit=4) == ([8, 9], False)
    assert await places(start=10) == ([], False)
    assert await places(around=5, limit=3) == ([4, 5, 6], True)
    assert await places(around=0, limit=3) == ([0, 1, 2], True)
    first = answered(await ada.get(path, params={"limit": 1}))["data"]
    assert first == [{"place": 0, "text": "Words of part 0.", "heading": "Part 0", "page": None, "start": 0, "end": 16}]
    for params in ({"limit": 0}, {"limit": 201}, {"start": -1}, {"around": 2**31}, {"around": "x"}):
        refused = await ada.get(path, params=params)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, next(iter(params)))


async def test_documents_come_in_pages_and_by_their_state(town: Town) -> None:
    ada = town.ada
    dataset = await made(ada)
    ids = [(await added(ada, dataset, f"words {number}", f"{number}.txt"))["id"] for number in range(3)]
    failed = (await added(ada, dataset, " ", "empty.txt"))["id"]
    path = f"/v1/datasets/{dataset['id']}/documents"

    async def page(**params: Any) -> tuple[list[str], bool]:
        found = answered(await ada.get(path, params=params))
        return [one["id"] for one in found["data"]], found["has_more"]

    assert await page() == ([failed, *reversed(ids)], False)
    assert await page(limit=2) == ([failed, ids[2]], True)
    assert await page(limit=2, before=ids[2]) == ([ids[1], ids[0]], False)
    assert await page(state="failed") == ([failed], False)
    assert await page(state="ready", limit=1) == ([ids[2]], True)
    for params, param in (({"before": "doc_0"}, "before"), ({"before": "a\0b"}, "before")):
        refused = await ada.get(path, params=params)
        assert (refused.status_code, refused.json()["error"]["param"]) == (404, param)
    for params in ({"state": "odd"}, {"limit": 0}):
        assert (await ada.get(path, params=params)).status_code == 400


async def test_one_that_failed_says_why_and_is_begun_again(town: Town) -> None:
    ada = town.ada
    dataset = await made(ada)
    failed = await added(ada, dataset, " ", "empty.txt")
    assert (failed["state"], failed["error"]) == ("failed", "There is no text in the file.")
    path = f"/v1/documents/{failed['id']}"
    assert answered(await ada.get(f"{path}/passages"))["data"] == []
    again = answered(await ada.patch(path, json={"state": "queued"}))
    # It may have been taken up already.
    assert again["state"] in ("queued", "reading")
    assert again["error"] is None
    assert (await ended(ada, failed["id"]))["state"] == "failed"
    same = answered(await ada.patch(path, json={"state": "cancelled"}))
    assert same["state"] == "failed", "one that has ended stays as it is"
    ready = await added(ada, dataset)
    refused = await ada.patch(f"/v1/documents/{ready['id']}", json={"state": "queued"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (409, "document")
    for body in ({}, {"state": "ready"}, {"stat": "queued"}):
        assert (await ada.patch(path, json=body)).status_code == 400


@pytest.mark.parametrize(
    ("name", "data", "param"),
    [
        (b"rules.exe", b"MZ", "filename"),
        (b"", b"x", "filename"),
        (b"rules.md", b"", "file"),
        (b"a\x7fb.md", b"x", "filename"),
    ],
)
async def test_what_is_no_document_is_refused(town: Town, name: bytes, data: bytes, param: str) -> None:
    dataset = await made(town.ada)
    head = b'content-disposition: form-data; name="file"; filename="%b"' % name
    body = b"--X\r\n%b\r\n\r\n%b\r\n--X--\r\n" % (head, data)
    headers = {"content-type": "multipart/form-data; boundary=X"}
    refused = await town.ada.post(f"/v1/datasets/{dataset['id']}/documents", content=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), refused.text
    assert answered(await town.ada.get(f"/v1/datasets/{dataset['id']}/documents"))["data"] == []


async def test_names_that_are_taken_or_none_are_refused(town: Town) -> None:
    await made(town.ada)
    again = await town.ada.post("/v1/datasets", json={"name": "handbook"})
    assert (again.status_code, again.json()["error"]["param"]) == (409, "dataset")
    for body in ({"name": "abc"}, {"name": "all"}, {"name": "a,bcd"}, {"name": "plans", "classification": "secret"}):
        assert (await town.ada.post("/v1/datasets", json=body)).status_code == 400, body


# ------------------------------------------------------------ others'


ABSENT = {"ds_": "ds_" + "0" * 24, "doc_": "doc_" + "0" * 24}


def requests(dataset: str, document: str) -> Sequence[tuple[str, str, dict[str, Any]]]:
    return [
        ("GET", f"/v1/datasets/{dataset}", {}),
        ("DELETE", f"/v1/datasets/{dataset}", {}),
        ("GET", f"/v1/datasets/{dataset}/documents", {}),
        ("GET", f"/v1/datasets/{dataset}/documents", {"params": {"before": document}}),
        ("GET", f"/v1/datasets/{dataset}/documents", {"params": {"state": "ready"}}),
        ("POST", f"/v1/datasets/{dataset}/documents", {"files": {"file": ("a.txt", b"words")}}),
        ("GET", f"/v1/documents/{document}", {}),
        ("PATCH", f"/v1/documents/{document}", {"json": {"state": "cancelled"}}),
        ("PATCH", f"/v1/documents/{document}", {"json": {"state": "queued"}}),
        ("DELETE", f"/v1/documents/{document}", {}),
        ("GET", f"/v1/documents/{document}/passages", {}),
        ("GET", f"/v1/documents/{document}/passages", {"params": {"around": 1, "limit": 1}}),
    ]


async def test_what_is_anothers_is_answered_as_what_is_not_there(town: Town) -> None:
    ada, bob = town.ada, town.bob
    dataset = await made(ada, "secret plans")
    document = await added(ada, dataset, "The raven keeps the code.", "raven.txt")
    own = await made(bob, "bobs own")
    theirs = requests(dataset["id"], document["id"])
    none = requests(ABSENT["ds_"], ABSENT["doc_"])
    for (method, path, more), (_, other, less) in zip(theirs, none, strict=True):
        first, second = await bob.request(method, path, **more), await bob.request(method, other, **less)
        assert first.status_code == second.status_code == 404, (method, path, first.text)
        assert _unnamed(first) == _unnamed(second), (method, path)
        assert "raven" not in first.text
    # Nor may a document of one's own dataset's list be continued from somebody else's.
    refused = await bob.get(f"/v1/datasets/{own['id']}/documents", params={"before": document["id"]})
    assert refused.status_code == 404
    assert answered(await bob.get("/v1/datasets"))["data"] == [own]
    assert answered(await ada.get(f"/v1/documents/{document['id']}")) == document
    assert answered(await ada.get(f"/v1/datasets/{dataset['id']}"))["documents"] == 1


def _unnamed(answer: httpx.Response) -> str:
    text = answer.text
    for begin in ABSENT:
        while (at := text.find(begin)) != -1:
            text = text[:at] + "*" + text[at + len(begin) + 24 :]
    return text


async def test_who_may_read_reads_and_nothing_more(town: Town) -> None:
    ada, bob = town.ada, town.bob
    dataset = await made(ada)
    document = await added(ada, dataset)
    await said(ada, "/user/assign-dataset", {"dataset": "handbook", "email": "bob@example.org"})
    assert [one["permission"] for one in answered(await bob.get("/v1/datasets"))["data"]] == ["read"]
    allowed = 0
    for method, path, more in requests(dataset["id"], document["id"]):
        status = (await bob.request(method, path, **more)).status_code
        assert status == (200 if method == "GET" else 403), (method, path)
        allowed += status == 200
    assert allowed == 7
    await said(
        ada,
        "/user/update-permission-dataset",
        {"dataset": "handbook", "email": "bob@example.org", "permissions": Permission.EDIT.name.lower()},
    )
    assert (await added(bob, dataset, "More.", "more.txt"))["state"] == "ready"
    assert (await bob.delete(f"/v1/documents/{document['id']}")).status_code == 200
    assert (await bob.delete(f"/v1/datasets/{dataset['id']}")).status_code == 403


async def test_names_that_no_database_holds_are_not_found(town: Town) -> None:
    await made(town.ada)
    for odd in ("%00", "a%00b", "%ed%a0%80", "x" * 3000, "%F0%9F%A6%89"):
        for method, path, more in requests(odd, odd):
            answer = await town.ada.request(method, path, **more)
            assert answer.status_code == 404, (method, path[:80], answer.text)


async def test_without_credits_nothing_is_queued(office: "Office") -> None:
    fake, administration = office.fake, office.administration
    await administration.create_account("poor", credits=Decimal(1))
    [priced] = [one for one in fake.catalog.listed if one.id == f"fake-{Task.EMBEDDING}"]
    object.__setattr__(priced, "price", type(priced.price)(prompt_token=Decimal(1)))
    async with fake.client(key=await office.key("inference", account="poor")) as client:
        dataset = await made(client)
        account = await administration.accounts.find_account("poor")
        await administration.ledger.grant(account.id, Decimal(-1), "spent", actor="local")
        files = {"file": ("a.txt", b"words")}
        refused = await client.post(f"/v1/datasets/{dataset['id']}/documents", files=files)
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_credits")
        assert answered(await client.get(f"/v1/datasets/{dataset['id']}/documents"))["data"] == []


async def test_answers_are_as_the_document_says(office: "Office") -> None:
    document: Document = await document_of(office.fake)
    async with office.fake.client(key=await office.key("inference", account="default")) as client:
        dataset = await made(client)
        rules = await added(client, dataset)
        for path in (
            "/v1/datasets",
            f"/v1/datasets/{dataset['id']}",
            f"/v1/datasets/{dataset['id']}/documents",
            f"/v1/documents/{rules['id']}",
            f"/v1/documents/{rules['id']}/passages",
        ):
            document.check(await client.get(path))
        document.check(await client.get(f"/v1/documents/{ABSENT['doc_']}"))
        files = {"file": ("b.txt", b"words")}
        document.check(await client.post(f"/v1/datasets/{dataset['id']}/documents", files=files))
        document.check(await client.patch(f"/v1/documents/{rules['id']}", json={"state": "cancelled"}))
        document.check(await client.delete(f"/v1/documents/{rules['id']}"))
        document.check(await client.delete(f"/v1/datasets/{dataset['id']}"))


async def test_a_server_without_knowledge_says_so(fake: FakeServer) -> None:
    async with fake.client() as client:
        answer = await client.get("/v1/datasets")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "knowledge_unavailable")
