"""Files. /v1/files."""

import time
from typing import Any

from openai.types import FileDeleted, FileObject

from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.target import Answer, Target

DATA = bytes(range(256)) * 8
NOWHERE = "file-0000000000000000000000000000000000000000000000"


def upload(
    target: Target, data: bytes = DATA, purpose: str = "user_data", name: str = "data.bin", **fields: str
) -> Answer:
    return target.form("/files", {"purpose": purpose, **fields}, {"file": (name, data)})


def kept(target: Target, data: bytes = DATA, purpose: str = "user_data", **fields: Any) -> FileObject:
    value: FileObject = target.strict(FileObject, ok(upload(target, data, purpose, **fields)).raw)
    return value


@case("OpenAI")
def form(target: Target) -> None:
    """An upload is a `file` with its size, its name, its purpose, and the status processed; GET gives the same."""
    value = kept(target, name="a name.bin")
    that(value.id.startswith("file-"), f"the id is {value.id}")
    equal((value.bytes, value.filename, value.purpose), (len(DATA), "a name.bin", "user_data"), "size, name, purpose")
    equal(value.status, "processed", "status")
    that(abs(time.time() - value.created_at) < 600, f"created_at is {value.created_at}, not this time in seconds")
    equal(target.strict(FileObject, ok(target.get(f"/files/{value.id}")).raw), value, "the file by its id")


def _purpose(purpose: str) -> None:
    def check(target: Target) -> None:
        equal(kept(target, purpose=purpose, name="a.jsonl").purpose, purpose, "purpose")

    check.__name__ = f"purpose_{purpose}"
    check.__doc__ = f"The purpose {purpose} is taken."
    case("OpenAI")(check)


_purpose("batch")
_purpose("vision")


@case("OpenAI")
def content(target: Target) -> None:
    """The content comes back byte for byte, as an attachment that no browser runs."""
    answer = ok(target.get(f"/files/{kept(target).id}/content"))
    equal(answer.raw, DATA, "the content")
    that(answer.headers.get("content-disposition", "").startswith("attachment"), "it is no attachment")
    equal(answer.headers.get("x-content-type-options"), "nosniff", "x-content-type-options")


@case("RFC 9110 14")
def ranges(target: Target) -> None:
    """A range of the content is answered 206; one behind its end 416."""
    url = f"/files/{kept(target).id}/content"
    answer = target.get(url, headers={"range": "bytes=10-19"})
    equal((answer.status, answer.raw), (206, DATA[10:20]), "status and content")
    equal(answer.headers.get("content-range"), f"bytes 10-19/{len(DATA)}", "content-range")
    equal(target.get(url, headers={"range": f"bytes={len(DATA)}-"}).status, 416, "status behind the end")


@case("OpenAI")
def names(target: Target) -> None:
    """A name is never a path, whatever is in it."""
    for name in ("../../etc/passwd", "/etc/passwd", "a\\..\\b.txt", "…" * 100):
        value = kept(target, name=name)
        equal(ok(target.get(f"/files/{value.id}/content")).raw, DATA, "the content")
        that("passwd" not in value.id, "the name is in the id")


@case("OpenAI")
def listed(target: Target) -> None:
    """The list is newest first, in pages by `after` and `limit`, by purpose, and in the order asc."""
    ids = [kept(target, purpose="vision", name=f"{number}.png").id for number in range(3)]
    page = ok(target.get("/files?purpose=vision&limit=2")).json()
    equal((page["object"], page["has_more"], len(page["data"])), ("list", True, 2), "object, has_more and the count")
    equal((page["first_id"], page["last_id"]), (page["data"][0]["id"], page["data"][1]["id"]), "first_id and last_id")
    for row in page["data"]:
        equal(row["purpose"], "vision", "a purpose")
    rest = ok(target.get(f"/files?purpose=vision&after={page['last_id']}&limit=10000")).json()
    that(not {row["id"] for row in page["data"]} & {row["id"] for row in rest["data"]}, "a file is on both pages")
    found = [row["id"] for row in page["data"] + rest["data"] if row["id"] in ids]
    equal(found, ids[::-1], "the files in the order of the list")
    turned = [row["id"] for row in ok(target.get("/files?purpose=vision&order=asc")).json()["data"] if row["id"] in ids]
    equal(turned, ids, "the files in the order asc")


@case("OpenAI")
def wrong_pages(target: Target) -> None:
    """A `limit` of 0 or above 10,000, or an unknown order: 400 that names it."""
    for query, param in (("limit=0", "limit"), ("limit=10001", "limit"), ("order=up", "order")):
        error(target.get(f"/files?{query}"), 400, param=param)


@case("OpenAI")
def deleted(target: Target) -> None:
    """DELETE says so, once; then file and content are 404."""
    name = kept(target).id
    found = target.strict(FileDeleted, ok(target.send("DELETE", f"/files/{name}")).raw)
    equal((found.id, found.deleted), (name, True), "id and deleted")
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        error(target.send(method, f"/files/{name}{path}"), 404)


@case("OpenAI")
def unknown(target: Target) -> None:
    """A file that never was: 404 in the envelope."""
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        error(target.send(method, f"/files/{NOWHERE}{path}"), 404)


@case("OpenAI")
def expiry(target: Target) -> None:
    """`expires_after`, an anchor and seconds, gives `expires_at`; less than an hour is 400."""
    fields = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    value = kept(target, **fields)
    equal(value.expires_at, value.created_at + 3600, "expires_at")
    error(upload(target, **(fields | {"expires_after[seconds]": "60"})), 400)
    error(upload(target, **(fields | {"expires_after[anchor]": "last_active_at"})), 400)


@case("OpenAI")
def lacking(target: Target) -> None:
    """Without a purpose, with an unknown one, or without a file: 400 that names it."""
    error(target.form("/files", {}, {"file": ("a.bin", DATA)}), 400, param="purpose")
    error(upload(target, purpose="poem"), 400, param="purpose")
    error(target.form("/files", {}, {"purpose": (None, "user_data")}), 400, param="file")


@case("reports")
def empty(target: Target) -> None:
    """An empty file is kept as one, or refused by name."""
    answer = upload(target, b"")
    if answer.status != 200:
        error(answer, 400, param="file")
    else:
        equal(answer.json()["bytes"], 0, "bytes")


@case("OpenAI")
def json_body(target: Target) -> None:
    """JSON where a form is wanted: 400 or 415 in the envelope."""
    error(target.post("/files", {"purpose": "batch"}), (400, 415))
