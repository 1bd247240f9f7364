"""What POST /v1/files takes and refuses; nothing is left of what was refused, whatever it was."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from server.api.openai.files import PIECE
from server.api.openai.upload_form import MOST_PARTS, UploadForm
from server.errors import InvalidRequest
from tests.api.filing import (
    BOUNDARY,
    FILE,
    FORM,
    PURPOSE,
    Desk,
    by_hand,
    by_turns,
    chunk,
    desk,
    form,
    migrated_file,
    part,
    refused,
)

pytestmark = pytest.mark.anyio

__all__ = ["desk", "migrated_file"]


def field(name: str, value: str) -> bytes:
    return part(f'; name="{name}"', value.encode())


async def test_the_parts_may_come_in_any_order(desk: Desk) -> None:
    expiry = (field("expires_after[seconds]", "3600"), field("expires_after[anchor]", "created_at"))
    for parts in ((PURPOSE, FILE), (FILE, PURPOSE), (expiry[0], FILE, expiry[1], field("unknown", "x"), PURPOSE)):
        answer = await desk.ada.post("/v1/files", content=form(*parts), headers=FORM)
        assert answer.status_code == 200, answer.text
        file = answer.json()
        assert (file["bytes"], file["filename"], file["purpose"]) == (5, "a.txt", "user_data")
        assert (desk.folder / file["id"]).read_bytes() == b"hello"


async def test_a_body_in_single_bytes_is_the_same(desk: Desk) -> None:
    data = b"\r\n--b0undarx\r\n--b0undar\r\n\r\n-" * 3
    body = form(PURPOSE, part('; name="file"; filename="a"', data))
    answered = await by_hand(desk, *(chunk(body[n : n + 1], n + 1 < len(body)) for n in range(len(body))))
    assert answered[0]["status"] == 200
    [name] = desk.names
    assert (desk.folder / name).read_bytes() == data


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ((PURPOSE,), "file", "missing_required_parameter"),
        ((FILE,), "purpose", "missing_required_parameter"),
        ((), "file", "missing_required_parameter"),
        ((PURPOSE, field("file", "some text")), "file", "invalid_type"),
        ((PURPOSE, part('; name="file"; filename=""', b"x")), "file", "invalid_type"),
        ((PURPOSE, part('; name="file"; filename="a.txt"')), "file", "invalid_value"),
        ((PURPOSE, FILE, FILE), "file", "invalid_value"),
        ((PURPOSE, part('; name="data"; filename="a.txt"', b"x")), "data", "invalid_value"),
        ((PURPOSE, part('; filename="a.txt"', b"x")), None, "invalid_value"),
        ((PURPOSE, b"--b0undary\r\nContent-Type: text/plain\r\n\r\nx\r\n", FILE), None, "invalid_value"),
        ((FILE, field("purpose", "fine-tune")), "purpose", "unsupported_value"),
        ((FILE, field("purpose", "batch_output")), "purpose", "invalid_value"),
        ((FILE, field("purpose", "fun")), "purpose", "invalid_value"),
        ((FILE, field("purpose", "x" * 10_000)), "purpose", "invalid_value"),
        (
            (FILE, PURPOSE, field("expires_after[seconds]", "3600")),
            "expires_after[anchor]",
            "missing_required_parameter",
        ),
        (
            (FILE, PURPOSE, field("expires_after[anchor]", "created_at")),
            "expires_after[seconds]",
            "missing_required_parameter",
        ),
        (
            (FILE, PURPOSE, field("expires_after[anchor]", "now"), field("expires_after[seconds]", "3600")),
            "expires_after[anchor]",
            "invalid_value",
        ),
        (
            (FILE, PURPOSE, field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "3599")),
            "expires_after[seconds]",
            "invalid_value",
        ),
        (
            (FILE, PURPOSE, field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "2592001")),
            "expires_after[seconds]",
            "invalid_value",
        ),
        (
            (FILE, PURPOSE, field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "soon")),
            "expires_after[seconds]",
            "invalid_type",
        ),
        ((FILE, *(field(f"f{n}", "x") for n in range(MOST_PARTS))), None, "invalid_value"),
        ((FILE, field("x", "y" * (2**20 + 1))), "x", "invalid_value"),
        ((FILE, part('; name="x"\r\n' + "\r\n".join(f"X-{n}: y" for n in range(50)), b"x")), None, "invalid_value"),
        ((FILE, part('; name="' + "x" * 9000 + '"', b"x")), None, "invalid_value"),
    ],
)
async def test_a_wrong_form_is_refused_by_the_field_and_leaves_nothing(
    desk: Desk, parts: tuple[bytes, ...], param: str | None, code: str
) -> None:
    refused(await desk.ada.post("/v1/files", content=form(*parts), headers=FORM), 400, param, code)
    assert desk.names == []
    assert await desk.files.page(None) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(PURPOSE, FILE)[:-4],
        form(PURPOSE, FILE)[: len(PURPOSE) + 60],
        form(PURPOSE, FILE).replace(b"b0undary", b"another"),
        b"--b0undary--\r\n" + form(PURPOSE, FILE),
        b"--b0undary\r\n" + b"x" * 5000 + b"\r\n\r\n",
        b"--b0undary\n\n",
    ],
)
async def test_a_torn_body_is_refused_and_leaves_nothing(desk: Desk, body: bytes) -> None:
    answer = await desk.ada.post("/v1/files", content=body, headers=FORM)
    assert answer.status_code == 400, answer.text
    assert desk.names == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        ("multipart/mixed; boundary=b0undary", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        (f"multipart/form-data; boundary={'b' * 300}", 400),
        ("multipart/form-data; boundary=b0undary; charset=utf-16", 400),
    ],
)
async def test_another_content_type_is_refused(desk: Desk, kind: str, status: int) -> None:
    answer = await desk.ada.post("/v1/files", content=form(PURPOSE, FILE), headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert desk.names == []


@pytest.mark.parametrize(
    ("sent", "shown", "disposition"),
    [
        (b"notes.txt", "notes.txt", 'attachment; filename="notes.txt"'),
        ("Größe.txt".encode(), "Größe.txt", "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.txt"),
        ("Größe.txt".encode("latin-1"), "Größe.txt", "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.txt"),
        (b"../../etc/passwd", "passwd", 'attachment; filename="passwd"'),
        (b"/", "file", 'attachment; filename="file"'),
        (b"a\0b.txt", "a_b.txt", 'attachment; filename="a_b.txt"'),
        (b'a\\"; x=\\"b.txt', 'a"; x="b.txt', "attachment; filename*=utf-8''a%22%3B%20x%3D%22b.txt"),
        (b"a\xe2\x80\xa8b", "a_b", 'attachment; filename="a_b"'),
        (b"x" * 300 + b".txt", "x" * 251 + ".txt", f'attachment; filename="{"x" * 251}.txt"'),
    ],
)
async def test_names_are_for_people_and_never_paths(desk: Desk, sent: bytes, shown: str, disposition: str) -> None:
    body = form(PURPOSE, part(b'; name="file"; filename="%b"' % sent, b"x"))
    file = (await desk.ada.post("/v1/files", content=body, headers=FORM)).json()
    assert file["filename"] == shown
    assert desk.names == [file["id"]]
    answer = await desk.ada.get(f"/v1/files/{file['id']}/content")
    assert answer.headers["content-disposition"] == disposition


# ---------------------------------------------------------------- how much


async def test_one_that_is_too_large_is_a_413_and_leaves_nothing(desk: Desk) -> None:
    body = form(PURPOSE, part('; name="file"; filename="a"', bytes(2**20 + 1)))
    whole = await desk.ada.post("/v1/files", content=body, headers=FORM)
    message = refused(whole, 413, "file", None)
    assert message == "Maximum content size limit (1048576) exceeded (1048577 bytes read)"

    async def unannounced() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), 2**16):
            yield body[start : start + 2**16]

    refused(await desk.ada.post("/v1/files", content=unannounced(), headers=FORM), 413, "file", None)
    announced = await by_hand(desk, chunk(b"--b0undary"), length=2**30)
    assert announced[0]["status"] == 413, "not a byte of it is read"
    assert desk.names == []


async def test_compressed_bodies_count_as_what_they_stand_for(desk: Desk) -> None:
    data = b"line\n" * 1000
    body = form(PURPOSE, part('; name="file"; filename="a"', data))
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}
    for coding, sent in packed.items():
        answer = await desk.ada.post("/v1/files", content=sent, headers=FORM | {"content-encoding": coding})
        assert (desk.folder / answer.json()["id"]).read_bytes() == data
    kept = desk.names
    bomb = gzip.compress(form(PURPOSE, part('; name="file"; filename="a"', bytes(64 * 2**20))))
    assert len(bomb) < 2**17
    headers = FORM | {"content-encoding": "gzip"}
    refused(await desk.ada.post("/v1/files", content=bomb, headers=headers), 413, "file", None)
    for sent in (packed["gzip"][:-5], b"no gzip", packed["gzip"] + b"more"):
        assert (await desk.ada.post("/v1/files", content=sent, headers=headers)).status_code == 400
    assert (
        await desk.ada.post("/v1/files", content=body, headers=FORM | {"content-encoding": "br"})
    ).status_code == 415
    assert desk.names == kept


async def test_a_large_upload_needs_no_memory(desk: Desk) -> None:
    """300 MiB in chunks as an HTTP server gives them: never more than some pieces of it are there at once."""
    desk.files._max_file = desk.files._max_account_files = 2**30
    desk.change(max_file=2**30)
    size, piece = 300 * 2**20, bytes(2**16)

    def body() -> Iterator[dict[str, Any]]:
        yield chunk(part('; name="file"; filename="a"').removesuffix(b"\r\n"))
        for _ in range(size // len(piece)):
            yield chunk(piece)
        yield chunk(b"\r\n" + form(PURPOSE), more=False)

    tracemalloc.start()
    try:
        answered = await by_turns(desk, body())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answered[0]["status"] == 200
    [name] = desk.names
    assert (desk.folder / name).stat().st_size == size
    assert peak < 16 * PIECE


def test_what_looks_like_a_boundary_is_data() -> None:
    class Kept(bytearray):
        def write(self, data: bytes | memoryview) -> None:
            self.extend(data)

    data = (b"\r\n--b0undar" * 100 + b"\r\n-" + b"--b0undary--" * 100) * 3
    body = form(PURPOSE, part('; name="file"; filename="a"', data))
    for step in (1, 7, 64, len(body)):
        kept = Kept()
        read = UploadForm(FORM["content-type"], kept)
        for start in range(0, len(body), step):
            read.feed(body[start : start + step])
        assert (read.finish(), bytes(kept), read.fields) == ("a", data, {"purpose": "user_data"})


def test_a_form_without_its_end_is_not_whole() -> None:
    read = UploadForm(f"multipart/form-data; boundary={BOUNDARY}", bytearray())  # type: ignore[arg-type]
    read.feed(PURPOSE)
    with pytest.raises(InvalidRequest, match="ends too early"):
        read.finish()
