"""OpenDocument texts, presentations and spreadsheets (OASIS OpenDocument 1.3, content.xml)."""

from collections.abc import Iterator

from lxml import etree

from server.errors import UnreadableDocument
from server.knowledge.parsing.markup import name_of, xml_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_rows, put_table

_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:"
_TEXT = f"{_NAMESPACE}text:1.0}}"
_TABLE = f"{_NAMESPACE}table:1.0}}"
_DRAW = f"{_NAMESPACE}drawing:1.0}}"
_OFFICE = f"{_NAMESPACE}office:1.0}}"
_UNSEEN = frozenset({"tracked-changes", "annotation", "annotation-end", "sequence-decls", "forms", "note-citation"})
MOST_REPEATED = 64
"""Cells. A cell says how often it is repeated; more than this is a trick, or the empty rest of a sheet."""


def parse(source: Source, outline: Outline) -> None:
    with Package(source) as package:
        if "META-INF/manifest.xml" in package and b"encryption-data" in package.read("META-INF/manifest.xml"):
            raise UnreadableDocument("The file is encrypted. Save it without a password.")
        root = xml_of(package.read("content.xml"))
    body = root.find(f"{_OFFICE}body")
    if body is None:
        raise UnreadableDocument("The file is damaged: it has no content.")
    pages = sum(1 for _ in body.iter(f"{_DRAW}page", f"{_TABLE}table")) if body.find(f"{_OFFICE}text") is None else 0
    _Body(source, outline, pages).walk(body)


class _Body:
    """Goes through the elements in order. pages: slides or sheets; 0 where it is a text."""

    def __init__(self, source: Source, outline: Outline, pages: int) -> None:
        self._source = source
        self._outline = outline
        self._pages = pages
        self._page = 0

    def walk(self, body: etree._Element) -> None:
        waiting = [body]
        while waiting:
            element = waiting.pop()
            if self._put(element):
                waiting.extend(reversed(element))

    def _put(self, element: etree._Element) -> bool:
        """Whether what it holds is gone through."""
        tag = element.tag
        name = name_of(element)
        if name in _UNSEEN:
            return False
        if tag == f"{_TEXT}h":
            level = element.get(f"{_TEXT}outline-level") or "1"
            self._outline.heading(int(level) if level.isdecimal() and len(level) < 3 else 1, text_of(element))
        elif tag == f"{_TEXT}p":
            listed = any(parent.tag == f"{_TEXT}list-item" for parent in _around(element))
            text = text_of(element)
            self._outline.text(f"- {text}" if listed and text.strip() else text)
        elif tag == f"{_DRAW}page":
            self._turn(element.get(f"{_DRAW}name") or "")
            return True
        elif tag == f"{_TABLE}table":
            if self._pages:
                self._turn(element.get(f"{_TABLE}name") or "")
                put_rows(_rows(element), self._outline)
            else:
                put_table(list(_rows(element)), self._outline)
        else:
            return True
        return False

    def _turn(self, title: str) -> None:
        self._page += 1
        self._outline.begin(self._page)
        self._outline.heading(1, title)
        self._source.progress(self._page, self._pages)


def _around(element: etree._Element) -> Iterator[etree._Element]:
    """The two elements that it lies in."""
    parent = element.getparent()
    if parent is not None:
        yield parent
        if (further := parent.getparent()) is not None:
            yield further


def _rows(table: etree._Element) -> Iterator[list[str]]:
    for row in table.iter(f"{_TABLE}table-row"):
        cells: list[str] = []
        for cell in row:
            if name_of(cell) in ("table-cell", "covered-table-cell"):
                repeated = cell.get(f"{_TABLE}number-columns-repeated") or "1"
                times = min(int(repeated) if repeated.isdecimal() and len(repeated) < 8 else 1, MOST_REPEATED)
                cells += [" ".join(text_of(paragraph) for paragraph in cell.iter(f"{_TEXT}p"))] * times
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


def text_of(root: etree._Element) -> str:
    """A paragraph's, with what stands for spaces, tabs and line ends."""
    texts = [root.text or ""]
    waiting: list[tuple[etree._Element, bool]] = [(child, False) for child in reversed(root)]
    while waiting:
        element, after = waiting.pop()
        if after:
            texts.append(element.tail or "")
            continue
        waiting.append((element, True))
        name = name_of(element)
        if name in _UNSEEN:
            continue
        if name in ("s", "tab"):
            texts.append(" ")
        elif name in ("line-break", "p"):
            texts.append("\n")
        texts.append(element.text or "")
        waiting.extend((child, False) for child in reversed(element))
    return "".join(texts)
