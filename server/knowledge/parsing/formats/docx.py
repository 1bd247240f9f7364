"""Word documents: paragraphs by their styles, lists, tables, notes."""

from collections.abc import Iterator
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from lxml import etree

from server.knowledge.parsing.markup import name_of, xml_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_table

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_CONTAINERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})
_UNSEEN = frozenset({"del", "moveFrom", "Fallback", "pPr", "rPr", "instrText", "delText", "tbl"})
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "p": "\n"}


def parse(source: Source, outline: Outline) -> None:
    with Package(source):  # within the bounds, or refused
        pass
    source.file.seek(0)
    document = docx.Document(source.file)
    levels = _levels(document.styles.element)
    for element in _body(document.element.body):
        if name_of(element) == "tbl":
            put_table(
                [[_text(cell).replace("\n", " ") for cell in _cells(row)] for row in element.iter(f"{_W}tr")], outline
            )
            continue
        text = _text(element)
        level, listed = _style(element, levels)
        if level is not None:
            outline.heading(level, text)
        else:
            outline.text(f"- {text}" if listed and text.strip() else text)
    outline.flush()
    _notes(document.part, outline)


def _body(body: etree._Element) -> Iterator[etree._Element]:
    """Its paragraphs and tables, those within content controls and accepted changes included."""
    waiting = list(reversed(body))
    while waiting:
        element = waiting.pop()
        name = name_of(element)
        if name in ("p", "tbl"):
            yield element
        elif name in _CONTAINERS:
            waiting.extend(reversed(element))


def _cells(row: etree._Element) -> Iterator[etree._Element]:
    yield from row.iter(f"{_W}tc")


def _text(root: etree._Element) -> str:
    """What a reader sees of a paragraph or a cell: without deleted text, fields' codes and second forms of drawings."""
    texts: list[str] = []
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        name = name_of(element)
        if name == "t":
            texts.append(element.text or "")
        elif name not in _UNSEEN:
            if name in _BREAKS:
                texts.append(_BREAKS[name])
            waiting.extend(reversed(element))
    return "".join(texts).strip("\n")


def _levels(styles: etree._Element) -> dict[str, int]:
    """Levels of headings by their styles' ids: `heading 1` is what Word calls it in every language."""
    found: dict[str, int] = {}
    for style in styles.iter(f"{_W}style"):
        key = style.get(f"{_W}styleId") or ""
        label = style.find(f"{_W}name")
        name = (label.get(f"{_W}val") or "").lower() if label is not None else ""
        outline_level = style.find(f"{_W}pPr/{_W}outlineLvl")
        if name == "title":
            found[key] = 1
        elif name.startswith("heading ") and name[8:].isdecimal():
            found[key] = int(name[8:]) + 1
        elif outline_level is not None and (level := _number(outline_level)) is not None and level < 9:
            found[key] = level + 2
    return found


def _style(paragraph: etree._Element, levels: dict[str, int]) -> tuple[int | None, bool]:
    """Level of the heading that it is, and whether it is of a list."""
    properties = paragraph.find(f"{_W}pPr")
    if properties is None:
        return None, False
    style = properties.find(f"{_W}pStyle")
    key = (style.get(f"{_W}val") or "") if style is not None else ""
    own = properties.find(f"{_W}outlineLvl")
    level = _number(own) if own is not None else None
    if level is not None and level < 9:
        return level + 2, False
    return levels.get(key), properties.find(f"{_W}numPr") is not None or key.startswith("List")


def _number(element: etree._Element) -> int | None:
    value = element.get(f"{_W}val") or ""
    return int(value) if value.isdecimal() and len(value) < 3 else None


def _notes(part: Any, outline: Outline) -> None:
    """Footnotes and endnotes, after the text."""
    for relation in part.rels.values():
        if relation.is_external or relation.reltype not in (RELATIONSHIP_TYPE.FOOTNOTES, RELATIONSHIP_TYPE.ENDNOTES):
            continue
        for note in xml_of(relation.target_part.blob):
            if note.get(f"{_W}type") in (None, "normal"):
                outline.text(_text(note))
