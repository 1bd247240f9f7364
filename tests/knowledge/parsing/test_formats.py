"""What is read of each kind of file."""

import io
import zipfile
from datetime import date, datetime

import pytest
from docx.document import Document
from pypdf import PageObject, PdfWriter

from server.knowledge.parsing.kinds import SUFFIXES
from tests.knowledge.parsing.parsing import blocks_of, shown
from tests.knowledge.parsing.samples import (
    SAMPLES,
    docx_of,
    epub_of,
    mail_of,
    opendocument_of,
    pdf_changed,
    pdf_of,
    pptx_of,
    replaced,
    xlsx_of,
    zip_of,
)

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_gives_its_text(name: str) -> None:
    text = " ".join(block.text for block in blocks_of(name, SAMPLES[name]))
    assert "Everybody has thirty days of leave." in text.replace("**", "")
    assert f".{name.split('.')[-1]}" in SUFFIXES


def test_a_pdf_has_pages() -> None:
    assert [(block.page, block.text) for block in blocks_of("a.pdf", SAMPLES["a.pdf"])] == [
        (1, "Everybody has thirty days of leave."),
        (2, "Second page."),
    ]


def test_a_pdfs_outline_is_its_headings() -> None:
    data = pdf_of("Preface words", "1. Leave\nThirty days.\nSick leave\nTell us.", "More of it")

    def outline(writer: PdfWriter) -> None:
        writer.add_outline_item(title="Preface", page_number=0)
        leave = writer.add_outline_item(title="Leave", page_number=1)
        writer.add_outline_item(title="Sick leave", page_number=1, parent=leave)

    blocks = blocks_of("a.pdf", pdf_changed(data, outline))
    assert [(block.page, " > ".join(block.headings), block.text) for block in blocks] == [
        (1, "Preface", "Preface words"),
        (2, "Leave", "Thirty days."),
        (2, "Leave > Sick leave", "Tell us."),
        (3, "Leave > Sick leave", "More of it"),
    ]


def test_a_word_cut_by_a_line_of_a_pdf_is_whole() -> None:
    assert [block.text for block in blocks_of("a.pdf", pdf_of("the exami-\nnation of A-\nB"))] == [
        "the examination of A-\nB"
    ]


def test_a_pdf_locked_against_changes_is_read() -> None:
    data = pdf_changed(SAMPLES["a.pdf"], lambda writer: writer.encrypt("", "owner", algorithm="AES-256"))
    assert blocks_of("a.pdf", data)[0].text == "Everybody has thirty days of leave."


def test_a_page_that_cant_be_read_is_told_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    extract = PageObject.extract_text

    def fails(page: PageObject) -> str:
        text = extract(page)
        if "Second" in text:
            raise KeyError("/Odd")
        return text

    monkeypatch.setattr(PageObject, "extract_text", fails)
    assert [b.text for b in blocks_of("a.pdf", SAMPLES["a.pdf"])][1:] == ["(Page 2 can't be read.)"]


def test_a_word_document_has_headings_lists_and_tables() -> None:
    assert shown(blocks_of("a.docx", SAMPLES["a.docx"])) == [
        ("Handbook > Leave", "Everybody has thirty days of leave."),
        ("Handbook > Leave", "- ask early"),
        ("Handbook > Leave", "Name: Ada; Role: engineer; Age: 36"),
    ]


def test_a_word_document_is_read_as_it_is_seen() -> None:
    body = (
        '<w:p><w:r><w:t>kept</w:t></w:r><w:ins><w:r><w:t xml:space="preserve"> added</w:t></w:r></w:ins>'
        "<w:del><w:r><w:delText> deleted</w:delText></w:r></w:del>"
        "<w:r><w:tab/><w:t>tab</w:t><w:br/><w:t>next</w:t></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    xml = f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'.encode()
    data = replaced(SAMPLES["a.docx"], {"word/document.xml": xml})
    assert [block.text for block in blocks_of("a.docx", data)] == ["kept added tab\nnext", "in a control"]


def test_headings_without_text_are_blocks() -> None:
    def fill(document: Document) -> None:
        for level, text in ((1, "A"), (2, "B"), (2, "C"), (1, "D")):
            document.add_heading(text, level)

    assert shown(blocks_of("a.docx", docx_of(fill))) == [("A", "B"), ("A", "C"), ("", "D")]


def test_slides_have_titles_and_notes() -> None:
    assert [(b.page, b.headings, b.text) for b in blocks_of("a.pptx", SAMPLES["a.pptx"])] == [
        (1, ("Leave",), "Everybody has thirty days of leave."),
        (1, ("Leave",), "Notes: Say it slowly."),
        (2, (), "Only a title"),
    ]
    assert pptx_of(("", "x", ""))


def test_a_workbooks_rows_name_their_columns() -> None:
    rows = [("Prices of 2026",), (), ("Item", "Price", "Since"), ("Tea", 2.5, date(2026, 1, 2)), ("Cake", 3, None)]
    logged = datetime(2026, 1, 2, 3, 4)  # noqa: DTZ001 - workbooks know no time zones
    data = xlsx_of({"Menu": [(*row, None, None)[:3] for row in rows], "Log": [(logged, True)]})
    assert [(b.page, b.headings, b.text) for b in blocks_of("a.xlsx", data)] == [
        (1, ("Menu",), "Prices of 2026"),
        (1, ("Menu",), "Item: Tea; Price: 2.5; Since: 2026-01-02\nItem: Cake; Price: 3"),
        (2, ("Log",), "2026-01-02 03:04\tyes"),
    ]


def test_a_csv_without_names_keeps_its_columns() -> None:
    assert blocks_of("a.csv", b"1,2\n3,4\n")[0].text == "1\t2\n3\t4"
    assert blocks_of("a.tsv", b"a\tb\n1\t2\n")[0].text == "a: 1; b: 2"
    assert blocks_of("a.csv", b"a;b\n1,5;2\n")[0].text == "a: 1,5; b: 2"


def test_a_page_is_read_as_it_is_seen() -> None:
    page = b"""<html><head><title>Site</title><script>no()</script><style>no</style></head><body><nav>Home</nav>
    <h1>Rules</h1><p>One
    line<br>two <i>x</i></p><p hidden>no</p><p style="display: none">no</p><ul><li>a<li><p>b</p></ul>
    <h2>Table</h2><table><tr><th>A</th><th>B</th><th>C</th></tr><tr><td>1<td>2<td><script>no</script>3</table>
    <pre>x
      y</pre>tail</body></html>"""
    assert shown(blocks_of("a.html", page)) == [
        ("Site > Rules", "One line\ntwo x"),
        ("Site > Rules", "- a"),
        ("Site > Rules", "- b"),
        ("Site > Rules > Table", "A: 1; B: 2; C: 3"),
        ("Site > Rules > Table", "x\n      y"),
        ("Site > Rules > Table", "tail"),
    ]


def test_a_page_in_the_encoding_that_it_names() -> None:
    assert blocks_of("a.html", '<meta charset="koi8-r"><p>Привет'.encode("koi8-r"))[0].text == "Привет"


def test_markdown_keeps_listings_and_tables() -> None:
    text = "Top\n===\n\nwords\nmore\n\n## Code ##\n```py\n# no heading\n\nx\n```\n"
    text += "|a|b|c|\n|-|:-:|-|\n|1|2|3|\n\n- x\n- y\n"
    assert shown(blocks_of("a.md", text.encode())) == [
        ("Top", "words\nmore"),
        ("Top > Code", "```py\n# no heading\n\nx\n```"),
        ("Top > Code", "a: 1; b: 2; c: 3"),
        ("Top > Code", "- x\n- y"),
    ]


def test_code_is_kept_by_functions() -> None:
    code = (
        "import x\n\n\ndef f():\n    a = 1\n\n    return a\n\n\nclass A:\n    b = 1\n\n    def g(self):\n        pass\n"
    )
    assert shown(blocks_of("a.py", code.encode())) == [
        ("", "import x"),
        ("", "def f():\n    a = 1\n\n    return a"),
        ("class A", "class A:\n    b = 1"),
        ("class A", "    def g(self):\n        pass"),
    ]


def test_json_of_one_line_gets_lines() -> None:
    text = blocks_of("a.json", b'{"a": [' + b"1, " * 1000 + b'2], "b": "x"}')[0].text
    assert text.endswith(' ],\n "b": "x"\n}')


def test_a_mail_with_its_attachments() -> None:
    data = mail_of(
        "Héllo", "plain text", {"n.md": b"# Note\n\ninside", "p.png": b"\x89PNG", "s.mp3": b"ID3"}, "<p>page"
    )
    found = shown(blocks_of("a.eml", data))
    assert found[0] == ("Héllo", "Subject: Héllo\nFrom: Ada <ada@example.org>\nTo: bob@example.org")
    assert found[1:3] == [("Héllo", "plain text"), ("Héllo > n.md > Note", "inside")]
    assert found[3][1].split("\n") == [
        "Files within it that were not read:",
        "p.png: The file is an image; only text is read.",
        "s.mp3: a recording.",
    ]


def test_an_archive_is_its_files() -> None:
    data = zip_of({"x/a.txt": "one", "b.zip": zip_of({"c.md": "# C\n\ntwo"}), "d.png": b"\x89PNG", "__MACOSX/a": "no"})
    assert shown(blocks_of("a.zip", data)) == [
        ("x/a.txt", "one"),
        ("b.zip > c.md > C", "two"),
        ("", "Files within it that were not read:\nd.png: The file is an image; only text is read."),
    ]


def test_an_archives_names_lead_nowhere() -> None:
    out = io.BytesIO(zip_of({"/etc/passwd": "one", "../../b.txt": "two"}))
    with zipfile.ZipFile(out, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/hostname")
    assert [block.text for block in blocks_of("a.zip", out.getvalue())] == ["one", "two"]


def test_a_book_in_the_order_of_its_spine() -> None:
    data = epub_of("<h1>One</h1><p>first</p>", "<h1>Two</h1><p>second</p>")
    assert shown(blocks_of("a.epub", data)) == [("One", "first"), ("Two", "second")]


def test_opendocument_of_each_kind() -> None:
    row = '<table:table-row><table:table-cell table:number-columns-repeated="2"><text:p>x<text:s/>y</text:p>'
    sheet = f'<table:table table:name="S">{row}</table:table-cell></table:table-row></table:table>'
    assert shown(blocks_of("a.ods", opendocument_of("spreadsheet", sheet))) == [("S", "x y\tx y")]
    listed = "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
    assert shown(blocks_of("a.odt", opendocument_of("text", listed))) == [("", "- one")]
    slides = f'<draw:page draw:name="A">{listed}</draw:page><draw:page draw:name="B"/>'
    assert [(b.page, b.text) for b in blocks_of("a.odp", opendocument_of("presentation", slides))] == [
        (1, "- one"),
        (2, "B"),
    ]


def test_rtf_has_letters_beyond_ascii() -> None:
    assert [b.text for b in blocks_of("a.rtf", rb"{\rtf1\ansi Caf\'e9 \u8364?5.\par Second}")] == ["Café €5.", "Second"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_in_its_encodings(encoding: str) -> None:
    assert blocks_of("a.txt", "Grüße, 世界".encode(encoding))[0].text == "Grüße, 世界"


def test_text_that_is_not_unicode() -> None:
    assert blocks_of("a.txt", "Grüße – “so”".encode("cp1252"))[0].text == "Grüße – “so”"


def test_unicode_that_was_cut_is_unicode_still() -> None:
    assert blocks_of("a.txt", ("ä" * 50 + "世").encode()[:-1])[0].text == "ä" * 50 + "\ufffd"


def test_what_nobody_sees_is_gone() -> None:
    text = "a\x00b\x07c\u200bd\u202ee\U000e0041f\u00a0g\r\nh\u2028i\ufb01".replace("\x00", "")
    assert blocks_of("a.txt", text.encode())[0].text == "abcdef g\nh\nifi"
