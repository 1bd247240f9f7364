"""How fast documents of each kind are read, and cut into chunks.

`reading_speed` and `chunking_speed` are for `scripts/bench ingestion`; run by itself, this prints what they give.
"""

import asyncio
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from server.knowledge.parsing.chunking import chunked
from server.knowledge.parsing.parsed import Block
from server.knowledge.parsing.reader import read

SENTENCE = "Leave is asked for in writing two weeks before it begins and the team decides within three days."
PARAGRAPH = f"{SENTENCE} {SENTENCE}"


def documents(paragraphs: int = 5_000) -> Iterator[tuple[str, bytes]]:
    """A file of each kind with that many paragraphs of 36 words, or rows of a few cells."""
    yield "a.txt", "\n\n".join([PARAGRAPH] * paragraphs).encode()
    yield "a.md", "\n\n".join(f"## Part {i}\n\n{PARAGRAPH}" for i in range(paragraphs)).encode()
    yield "a.html", "".join(f"<h2>Part {i}</h2><p>{PARAGRAPH}</p>" for i in range(paragraphs)).encode()
    yield "a.csv", ("name,number,text\n" + "".join(f"n{i},{i},{PARAGRAPH}\n" for i in range(paragraphs))).encode()
    yield "a.docx", _docx(paragraphs)
    yield "a.xlsx", _xlsx(paragraphs)
    yield "a.pdf", _pdf(paragraphs)


def _docx(paragraphs: int) -> bytes:
    import docx

    document, out = docx.Document(), io.BytesIO()
    for _ in range(paragraphs):
        document.add_paragraph(PARAGRAPH)
    document.save(out)
    return out.getvalue()


def _xlsx(rows: int) -> bytes:
    import openpyxl

    workbook, out = openpyxl.Workbook(write_only=True), io.BytesIO()
    sheet = workbook.create_sheet("Rows")
    sheet.append(["name", "number", "text"])
    for i in range(rows):
        sheet.append([f"n{i}", i, PARAGRAPH])
    workbook.save(out)
    return out.getvalue()


def _pdf(paragraphs: int) -> bytes:
    """Twenty paragraphs a page, in lines of twelve words."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer, out = PdfWriter(), io.BytesIO()
    words = PARAGRAPH.split(" ")
    lines = " ".join(f"({' '.join(words[at : at + 12])}) Tj T*" for at in range(0, len(words), 12)) + " T* "
    font = DictionaryObject()
    for name, value in (("/Type", "/Font"), ("/Subtype", "/Type1"), ("/BaseFont", "/Helvetica")):
        font[NameObject(name)] = NameObject(value)
    fonts = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})})
    for _ in range(paragraphs // 20):
        page = writer.add_blank_page(width=600, height=800)
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 9 Tf 10 TL 40 780 Td {lines * 20} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
        page[NameObject("/Resources")] = fonts
    writer.write(out)
    return out.getvalue()


async def reading_speed(paragraphs: int = 5_000) -> list[dict[str, float | str]]:
    """For each kind: bytes of the file, characters of its text, pages where it has any, seconds to read it, the start
    of the process included."""
    figures: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, data in documents(paragraphs):
            path = Path(folder) / name
            await asyncio.to_thread(path.write_bytes, data)
            begun = time.perf_counter()
            blocks = await read(path, name, timeout=300, memory=2**30)
            seconds = time.perf_counter() - begun
            figures.append(
                {
                    "kind": name.partition(".")[2],
                    "bytes": len(data),
                    "characters": sum(len(block.text) for block in blocks),
                    "pages": max((block.page or 0 for block in blocks), default=0),
                    "seconds": seconds,
                }
            )
    return figures


def chunking_speed(tokens: Callable[[str], int], paragraphs: int = 5_000) -> dict[str, float]:
    """Characters cut into chunks, how many chunks, and the seconds that it took."""
    blocks = [Block(PARAGRAPH, (f"Part {i // 20}",)) for i in range(paragraphs)]
    begun = time.perf_counter()
    chunks = chunked(blocks, tokens)
    seconds = time.perf_counter() - begun
    return {"characters": sum(len(block.text) for block in blocks), "chunks": len(chunks), "seconds": seconds}


if __name__ == "__main__":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(sys.argv[1] if len(sys.argv) > 1 else "models/all-minilm-l6-v2/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for figure in asyncio.run(reading_speed()):
        print(json.dumps(figure))
    print(json.dumps({"kind": "chunking", **chunking_speed(lambda text: len(tokenizer.encode(text).ids))}))
