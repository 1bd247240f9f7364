"""Small files of every kind that is read, made by the libraries that write them, or by hand."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage

import docx
import openpyxl
import pptx
from pypdf import PdfReader, PdfWriter

Text = "urn:oasis:names:tc:opendocument:xmlns:"


def pdf_of(*pages: str) -> bytes:
    """A page for each text, a line for each of its lines."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for page in pages:
        shown = " ".join(f"({line.translate(ESCAPED)}) Tj T*" for line in page.split("\n"))
        content = f"BT /F1 12 Tf 14 TL 50 750 Td {shown} ET"
        kids.append(f"{len(objects) + 1} 0 R")
        objects += [
            f"<</Type/Page/Parent 2 0 R/Contents {len(objects) + 2} 0 R/Resources<</Font<</F1 3 0 R>>>>>>",
            f"<</Length {len(content)}>>stream\n{content}\nendstream",
        ]
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>"
    return pdf_from(objects)


ESCAPED = str.maketrans({"(": "\\(", ")": "\\)", "\\": "\\\\"})


def pdf_from(objects: Sequence[str]) -> bytes:
    """Of objects numbered from 1, the first of which is the catalog."""
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, text in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{text}endobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    return bytes(out + f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode())


def pdf_changed(data: bytes, change: Callable[[PdfWriter], object]) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx_of(fill: Callable[[docx.document.Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pptx_of(*slides: tuple[str, str, str]) -> bytes:
    """Each: title, body, notes."""
    presentation = pptx.Presentation()
    for title, body, notes in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def xlsx_of(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def zip_of(files: Mapping[str, bytes | str], *, way: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", way) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def replaced(package: bytes, changes: Mapping[str, bytes]) -> bytes:
    """An archive with other content in some of its files."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return zip_of({**files, **changes})


def opendocument_of(kind: str, body: str) -> bytes:
    """kind: text, presentation or spreadsheet."""
    content = (
        f'<office:document-content xmlns:office="{Text}office:1.0" xmlns:text="{Text}text:1.0" '
        f'xmlns:table="{Text}table:1.0" xmlns:draw="{Text}drawing:1.0" xmlns:presentation="{Text}presentation:1.0">'
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    return zip_of({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content})


def epub_of(*chapters: str) -> bytes:
    items = "".join(
        f'<item id="c{i}" href="text/c%20{i}.xhtml" media-type="application/xhtml+xml"/>' for i in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    return zip_of(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="book/b.opf"/></container>',
            "book/b.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{f"book/text/c {i}.xhtml": f"<html><body>{text}</body></html>" for i, text in enumerate(chapters)},
        }
    )


def mail_of(subject: str, text: str, attached: Mapping[str, bytes] | None = None, page: str | None = None) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Ada <ada@example.org>", "bob@example.org"
    message.set_content(text)
    if page is not None:
        message.add_alternative(page, subtype="html")
    for name, data in (attached or {}).items():
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return bytes(message)


def _leave(document: docx.document.Document) -> None:
    document.add_heading("Handbook", 0)
    document.add_heading("Leave", 1)
    document.add_paragraph("Everybody has thirty days of leave.")
    document.add_paragraph("ask early", style="List Bullet")
    table = document.add_table(2, 3)
    for row, cells in zip(table.rows, (("Name", "Role", "Age"), ("Ada", "engineer", "36")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text


TITLED = '<text:h text:outline-level="1">Handbook</text:h><text:p>Everybody has thirty days of leave.</text:p>'
SAMPLES: dict[str, bytes] = {
    "a.pdf": pdf_of("Everybody has thirty days of leave.", "Second page."),
    "a.docx": docx_of(_leave),
    "a.pptx": pptx_of(("Leave", "Everybody has thirty days of leave.", "Say it slowly."), ("Only a title", "", "")),
    "a.xlsx": xlsx_of({"Staff": [("Name", "Days"), ("Everybody has thirty days of leave.", 30)], "Empty": []}),
    "a.odt": opendocument_of("text", TITLED),
    "a.odp": opendocument_of("presentation", f'<draw:page draw:name="Leave">{TITLED}</draw:page>'),
    "a.ods": opendocument_of(
        "spreadsheet",
        '<table:table table:name="Staff"><table:table-row><table:table-cell>'
        "<text:p>Everybody has thirty days of leave."
        "</text:p></table:table-cell></table:table-row></table:table>",
    ),
    "a.epub": epub_of("<h1>One</h1><p>Everybody has thirty days of leave.</p>", "<h1>Two</h1><p>The end.</p>"),
    "a.zip": zip_of({"notes/a.md": "# Leave\n\nEverybody has thirty days of leave."}),
    "a.rtf": rb"{\rtf1\ansi Everybody has {\b thirty} days of leave.\par Caf\'e9.}",
    "a.html": b"<html><title>Book</title><nav>Home</nav><h1>Leave</h1>Everybody has <b>thirty</b> days of leave.",
    "a.eml": mail_of("Leave", "Everybody has thirty days of leave."),
    "a.md": b"# Handbook\n\n## Leave\n\nEverybody has thirty days of leave.\n",
    "a.csv": b"Name,Rule\nLeave,Everybody has thirty days of leave.\n",
    "a.py": b'"""Everybody has thirty days of leave."""\n\n\ndef days():\n    return 30\n',
    "a.txt": b"Everybody has thirty days of leave.\n\nThe end.\n",
}
