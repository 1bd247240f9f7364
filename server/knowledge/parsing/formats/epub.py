"""EPUB books: their chapters in the order of the spine (EPUB 3.3, section 5)."""

import posixpath
from urllib.parse import unquote

from server.errors import UnreadableDocument
from server.knowledge.parsing.decoding import decoded
from server.knowledge.parsing.formats.html import put_page
from server.knowledge.parsing.markup import name_of, xml_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source


def parse(source: Source, outline: Outline) -> None:
    with Package(source) as book:
        if "META-INF/encryption.xml" in book and b"EncryptedKey" in book.read("META-INF/encryption.xml"):
            raise UnreadableDocument("The book is protected against copying.")
        chapters = [chapter for chapter in _spine(book) if chapter in book]
        if not chapters:
            raise UnreadableDocument("The book is damaged: it has no chapters.")
        for number, chapter in enumerate(chapters, 1):
            inner = Outline(outline.sink, outline.headings)
            put_page(decoded(book.read(chapter)), inner)
            inner.flush()
            source.progress(number, len(chapters))


def _spine(book: Package) -> list[str]:
    """Names of the chapters' files."""
    container = xml_of(book.read("META-INF/container.xml"))
    root = next((element for element in container.iter() if name_of(element) == "rootfile"), None)
    path = (root.get("full-path") or "") if root is not None else ""
    package = xml_of(book.read(path))
    places = {
        item.get("id"): item.get("href") or ""
        for item in package.iter()
        if name_of(item) == "item" and "html" in (item.get("media-type") or "")
    }
    folder = posixpath.dirname(path)
    spine = (places.get(item.get("idref")) for item in package.iter() if name_of(item) == "itemref")
    return [posixpath.normpath(posixpath.join(folder, unquote(place))) for place in spine if place]
