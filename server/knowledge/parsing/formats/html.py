"""HTML pages: what a reader sees of them, without what leads around the site."""

import re
from collections.abc import Iterator

import lxml.html
from lxml import etree

from server.errors import UnreadableDocument
from server.knowledge.parsing.formats.text import text_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_table

_DECLARED = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s{0,5}=\s{0,5}[\"']?([\w.:-]{2,40})", re.IGNORECASE
)
_UNSEEN_TAGS = """
    script style noscript template svg math iframe object embed canvas audio video button select datalist input
    textarea dialog nav head menu
"""
_INLINE_TAGS = """
    a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark output q rb rp rt ruby s
    samp small span strike strong sub sup time tt u var wbr
"""
_UNSEEN = frozenset(_UNSEEN_TAGS.split())
_INLINE = frozenset(_INLINE_TAGS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"\s+")
_HIDDEN = re.compile(r"display\s{0,5}:\s{0,5}none|visibility\s{0,5}:\s{0,5}hidden", re.IGNORECASE)


def parse(source: Source, outline: Outline) -> None:
    declared = _DECLARED.search(source.start(4096))
    text = text_of(source, outline, declared[1].decode("ascii") if declared else None)
    put_page(text, outline)


def put_page(text: str, outline: Outline) -> None:
    """Raises UnreadableDocument where there is no page in it."""
    # An encoding that an XML declaration gives is not that of a text.
    text = re.sub(r"^\s*<\?xml[^>]{0,500}>", "", text, count=1)
    parser = lxml.html.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        page = lxml.html.document_fromstring(text, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableDocument("There is no text in the page.") from error
    # Below a depth the parser leaves out everything, and what comes after it too, without an error.
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise UnreadableDocument("The page is nested too deeply.")
    title = page.find(".//title")
    if title is not None and title.text:
        outline.heading(1, title.text)
    _Page(outline, below=1 if title is not None and title.text else 0).walk(page)


class _Page:
    """Goes through a page's elements in order, however deep they lie. below: level of the title above its headings."""

    def __init__(self, outline: Outline, below: int) -> None:
        self._outline = outline
        self._below = below
        self._text: list[str] = []
        self._prefix = ""

    def walk(self, root: etree._Element) -> None:
        # An element waits twice: to be opened, and to be closed.
        waiting: list[tuple[etree._Element, bool]] = [(root, False)]
        while waiting:
            element, opened = waiting.pop()
            if opened:
                self._close(element)
            elif self._open(element):
                waiting.append((element, True))
                waiting.extend((child, False) for child in reversed(element))
                continue
            if element is not root and element.tail:
                self._add(element.tail)
        self._end_paragraph()

    def _open(self, element: etree._Element) -> bool:
        """Whether its children are gone through."""
        tag = element.tag
        if not isinstance(tag, str) or tag in _UNSEEN or _hidden(element):
            return False
        if tag in _INLINE:
            self._add(element.text or "")
            return True
        if tag == "br":
            self._text.append("\n")
            return False
        self._end_paragraph()
        if level := _HEADINGS.get(tag):
            self._outline.heading(level + self._below, "".join(seen(element)))
            return False
        if tag == "pre":
            self._outline.text("".join(seen(element)), lines=True)
            return False
        if tag == "table" and element.find(".//table") is None:
            self._table(element)
            return False
        if tag == "li":
            self._prefix = "- "
        self._add(element.text or "")
        return True

    def _close(self, element: etree._Element) -> None:
        if element.tag not in _INLINE:
            self._end_paragraph()

    def _add(self, text: str) -> None:
        # A line's end in the source means a space; `br` is what ends a line.
        self._text.append(_SPACE.sub(" ", text))

    def _end_paragraph(self) -> None:
        text = "".join(self._text)
        self._text = []
        if text and not text.isspace():
            self._outline.text(self._prefix + text.strip())
            self._prefix = ""

    def _table(self, table: etree._Element) -> None:
        rows: list[list[str]] = []
        named = False
        for row in table.iter("tr"):
            cells = [cell for cell in row if cell.tag in ("td", "th")]
            if not rows and cells:
                named = len(cells) > 1 and all(cell.tag == "th" for cell in cells)
            rows.append([" ".join(seen(cell)) for cell in cells])
        caption = table.find("caption")
        if caption is not None:
            self._outline.text("".join(seen(caption)))
        put_table([row for row in rows if row], self._outline, headed=True if named else None)


def seen(root: etree._Element) -> Iterator[str]:
    """The texts in an element that a reader sees."""
    waiting: list[tuple[etree._Element, bool]] = [(root, False)]
    while waiting:
        element, after = waiting.pop()
        if after:
            yield element.tail or ""
            continue
        if element is not root:
            waiting.append((element, True))
        if not isinstance(element.tag, str) or element.tag in _UNSEEN or _hidden(element):
            continue
        if element.tag == "br":
            yield "\n"
        yield element.text or ""
        waiting.extend((child, False) for child in reversed(element))


def _hidden(element: etree._Element) -> bool:
    found = element.attrib
    return bool(found) and (
        "hidden" in found
        or found.get("aria-hidden") == "true"
        or _HIDDEN.search(found.get("style", "")[:1_000]) is not None
    )
