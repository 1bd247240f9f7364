"""The main text of an HTML page."""

import re
from collections.abc import Iterator

import lxml.html
from lxml import etree

LONGEST = 20_000
"""Characters."""
_UNSEEN_TAGS = """
    script style noscript template svg math iframe object embed canvas audio video button select form input textarea
    dialog nav header footer aside head menu
"""
_INLINE_TAGS = """
    a abbr b bdi bdo cite code data dfn em font i ins kbd label mark q s samp small span strong sub sup time tt u var
    wbr
"""
_UNSEEN = frozenset(_UNSEEN_TAGS.split())
_INLINE = frozenset(_INLINE_TAGS.split())


def page_text(data: bytes, charset: str | None, most: int = LONGEST) -> str:
    """What a reader sees in the page's main part, a line for each paragraph; empty where there is nothing.

    charset: as the answer's header has it; None is found by the page itself. It blocks for as long as parsing takes.
    """
    try:
        parser = lxml.html.HTMLParser(
            encoding=charset, no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
        )
    except LookupError:  # a charset that there isn't
        return page_text(data, None, most)
    try:
        page = lxml.html.document_fromstring(data, parser=parser)
    except (etree.LxmlError, ValueError, AssertionError):
        return ""
    pieces: list[str] = []
    length = 0
    for line in _lines(_main(page)):
        pieces.append(line)
        length += len(line) + 1
        if length > most:
            break
    return "\n".join(pieces)[:most].rstrip()


def _main(page: etree._Element) -> etree._Element:
    """What calls itself the main part, if there is one such that holds text; else the body."""
    for path in ("//main", "//*[@role='main']", "//article"):
        found = page.xpath(path)
        if isinstance(found, list) and len(found) == 1 and "".join(found[0].itertext()).strip():
            main: etree._Element = found[0]
            return main
    body = page.find("body")
    return page if body is None else body


def _lines(root: etree._Element) -> Iterator[str]:
    text: list[str] = []
    for piece in _pieces(root):
        if piece is not None:
            text.append(piece)
        elif line := " ".join("".join(text).split()):
            yield line
            text = []
    if line := " ".join("".join(text).split()):
        yield line


def _pieces(root: etree._Element) -> Iterator[str | None]:
    """Texts in order, and None where a line ends. However deep elements lie, nothing recurses."""
    waiting: list[tuple[etree._Element, bool]] = [(root, False)]
    while waiting:
        element, closing = waiting.pop()
        inline = element.tag in _INLINE
        if closing:
            yield None if not inline else ""
            if element is not root:
                yield element.tail or ""
            continue
        if not isinstance(element.tag, str) or element.tag in _UNSEEN or _hidden(element):
            if element is not root:
                yield element.tail or ""
            continue
        if not inline:
            yield None
        yield element.text or ""
        waiting.append((element, True))
        waiting.extend((child, False) for child in reversed(element))


_HIDDEN = re.compile(r"display\s{0,5}:\s{0,5}none|visibility\s{0,5}:\s{0,5}hidden", re.IGNORECASE)


def _hidden(element: etree._Element) -> bool:
    style = str(element.get("style") or "")[:1000]
    return element.get("hidden") is not None or element.get("aria-hidden") == "true" or bool(_HIDDEN.search(style))
