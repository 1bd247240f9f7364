"""Files made to harm: each is read within its bounds, or refused, in words for its owner."""

import io
import zipfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import UnreadableDocument
from server.knowledge.parsing.bounds import Bounds
from tests.knowledge.parsing.parsing import blocks_of
from tests.knowledge.parsing.samples import SAMPLES, opendocument_of, pdf_from, replaced, zip_of

SMALL = Bounds(characters=100_000, blocks=1_000, unpacked=2**20, member=2**19, members=50, depth=3)
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha">%s]>' % b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 20) for i in range(12)
)
FILE = b'<!DOCTYPE x [<!ENTITY m SYSTEM "file:///etc/passwd">]>'
W = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
S = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
WORD = (
    b'%%s<w:document xmlns:w="%s"><w:body><w:p><w:r><w:t>seen</w:t><w:t>&m;</w:t></w:r></w:p></w:body></w:document>' % W
)
SHEET = b'<worksheet xmlns="%s"><dimension ref="A1:XFD1048576"/><sheetData>%%s</sheetData></worksheet>' % S


def nested_zip(depth: int) -> bytes:
    data = zip_of({"a.txt": "bottom"})
    for _ in range(depth):
        data = zip_of({"n.zip": data})
    return data


def nested_mail(depth: int) -> bytes:
    part = "Content-Type: text/plain\n\nbottom"
    for i in range(depth):
        part = f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n{part}\n--b{i}--\n"
    return f"Subject: x\n{part}".encode()


def forwarded(depth: int) -> bytes:
    mail = "Subject: x\n\nbottom"
    for _ in range(depth):
        mail = f"Subject: x\nContent-Type: message/rfc822\n\n{mail}"
    return mail.encode()


def unpackable(package: bytes, name: str) -> bytes:
    """An archive in which a member's compressed bytes are none."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        info = archive.getinfo(name)
    start = info.header_offset + 30 + len(info.filename)
    return package[:start] + b"\xff" * info.compress_size + package[start + info.compress_size :]


def sheet_of(rows: bytes) -> bytes:
    return replaced(SAMPLES["a.xlsx"], {"xl/worksheets/sheet1.xml": SHEET % rows})


def content_of(stream: bytes) -> bytes:
    packed = zlib.compress(stream).decode("latin-1")
    return pdf_from(
        [
            "<</Type/Catalog/Pages 2 0 R>>",
            "<</Type/Pages/Count 1/Kids[4 0 R]>>",
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            "<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</Font<</F1 3 0 R>>>>>>",
            f"<</Length {len(packed)}/Filter/FlateDecode>>stream\n{packed}\nendstream",
        ]
    )


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.docx", replaced(SAMPLES["a.docx"], {"word/document.xml": WORD % LAUGHS}), "damaged"),
        ("a.xlsx", sheet_of(b"<row>")[:-1], "damaged"),
        ("a.odt", unpackable(SAMPLES["a.odt"], "mimetype"), "damaged"),
        ("a.zip", unpackable(SAMPLES["a.zip"], "notes/a.md"), "a part can't be unpacked"),
        (
            "a.odt",
            zip_of({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": LAUGHS + b"<a>&m;</a>"}),
            "no regular XML|entities",
        ),
        (
            "a.odt",
            zip_of({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": FILE + b"<a>&m;</a>"}),
            "entities",
        ),
        ("a.zip", zip_of({"a.txt": b" " * 600_000}), "unpacks to more than 524,288 bytes"),
        ("a.zip", zip_of({f"{i}.txt": b" " * 500_000 for i in range(3)}), "unpacks to more than 1,048,576 bytes"),
        ("a.docx", replaced(SAMPLES["a.docx"], {"word/document.xml": b" " * 600_000}), "unpacks to more than"),
        (
            "a.zip",
            zip_of({"x.docx": replaced(SAMPLES["a.docx"], {"z": b" " * 600_000}), "y.txt": "y"}),
            "unpacks to more",
        ),
        ("a.zip", zip_of({f"{i}.txt": "x" for i in range(60)}), "more than 50 files"),
        ("a.zip", nested_zip(5), "more than 3 deep"),
        ("a.eml", nested_mail(1_000), "nested too deeply"),
        ("a.eml", nested_mail(60), "more than 50 files"),
        ("a.eml", forwarded(20), "more than 3 deep"),
        ("a.csv", b"a,b\n" + b"x" * 1_100_000, "more characters|more than 1,000,000|more than 100,000"),
        ("a.txt", b"x\n\n" * 2_000, "more than 1,000 paragraphs"),
        ("a.html", b"<div>" * 5_000 + b"bottom", "nested too deeply"),
        ("a.odt", opendocument_of("text", "<text:list>" * 5_000 + "x" + "</text:list>" * 5_000), "no regular XML"),
        ("a.rtf", rb"{\rtf1 " + b"{" * 50_000, "no text"),
        ("a.pdf", b"%PDF-1.4\n1 0 obj" + b"[" * 50_000 + b"endobj trailer<</Root 1 0 R>>", "damaged"),
        ("a.pdf", pdf_from(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 5/Kids[2 0 R 2 0 R]>>"]), "damaged"),
        (
            "a.pdf",
            pdf_from(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 99999999/Kids[]>>"]),
            "no text|damaged",
        ),
        ("a.pdf", content_of(b" " * 76_000_000), "none of its pages can be read"),
    ],
)
def test_refused(name: str, data: bytes, words: str) -> None:
    with pytest.raises(UnreadableDocument, match=words) as raised:
        blocks_of(name, data, SMALL)
    assert "/" not in raised.value.message


def test_no_entity_is_looked_up() -> None:
    data = replaced(SAMPLES["a.docx"], {"word/document.xml": WORD % FILE})
    assert [block.text for block in blocks_of("a.docx", data)] == ["seen"]
    with pytest.raises(UnreadableDocument):
        blocks_of("a.xlsx", replaced(SAMPLES["a.xlsx"], {"xl/worksheets/sheet1.xml": FILE + SHEET % b"<row>&m;</row>"}))


def test_a_sheet_as_large_as_can_be_with_two_cells() -> None:
    far = b'<row r="1"><c r="A1"><v>7</v></c></row><row r="999999999999"><c r="XFD1048576"><v>8</v></c></row>'
    text = blocks_of("a.xlsx", sheet_of(far))[0].text
    assert text.split() == ["7", "8"]
    assert len(text) < 1_100


def test_cells_that_say_they_are_repeated_without_end() -> None:
    cell = '<table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>'
    data = opendocument_of("spreadsheet", f'<table:table table:name="S">{row}</table:table>')
    assert len(blocks_of("a.ods", data)[0].text) < 200


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=12, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_read_or_refused(name: str, part: float) -> None:
    data = SAMPLES[name][: int(len(SAMPLES[name]) * part)]
    with suppress(UnreadableDocument):
        assert all(block.text.strip() for block in blocks_of(name, data))
