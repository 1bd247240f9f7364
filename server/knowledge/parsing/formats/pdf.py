"""PDF files, page by page, under the headings of their outline."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError
from pypdf.generic import Destination

from server.errors import UnreadableDocument
from server.knowledge.parsing import clean
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source

DEEPEST = 6
"""Levels of a file's outline that are kept."""
_HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zà-öø-ÿß])")
"""A word that a line's end cut."""

Entry = tuple[int, str]
"""Of the file's outline: level, from 1, and title."""


def parse(source: Source, outline: Outline) -> None:
    source.file.seek(0)
    reader = PdfReader(source.file)
    if reader.is_encrypted and not _opened(reader):
        raise UnreadableDocument("The PDF is encrypted. Save it without a password.")
    pages = reader.pages
    total = len(pages)
    titles = _titles(reader)
    unread = 0
    for number in range(1, total + 1):
        outline.page = number
        try:
            text = clean.clean(pages[number - 1].extract_text())
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001 - pypdf raises whatever it stumbles over; one page must not cost the others
            unread += 1
            text = f"(Page {number} can't be read.)"
        _put(_HYPHEN.sub("", text), titles.get(number, ()), outline)
        source.progress(number, total)
    if total and unread == total:
        raise UnreadableDocument("The PDF is damaged: none of its pages can be read.")
    if not outline.sink.blocks:
        raise UnreadableDocument("There is no text in the PDF. Pages that are images, as from a scanner, are not read.")


def _opened(reader: PdfReader) -> bool:
    """An empty password opens those that are only locked against changes."""
    try:
        return bool(reader.decrypt(""))
    except (DependencyError, PyPdfError, NotImplementedError, ValueError, KeyError, TypeError):
        return False


def _put(text: str, entries: Sequence[Entry], outline: Outline) -> None:
    """A page's text, parted where a line is the title of the outline's entry. Where none is, it stands at the top."""
    for level, title in entries:
        before, after = _parted(text, title)
        if before is not None:
            outline.paragraphs(before)
            text = after
        outline.heading(level, title)
    outline.paragraphs(text)


def _parted(text: str, title: str) -> tuple[str | None, str]:
    """What is above and below the line that is the title, perhaps after a number; None above where no line is."""
    wanted = _bare(title)
    at = 0
    for line in text.split("\n"):
        end = at + len(line) + 1
        if len(line) < 300 and _bare(line) == wanted:
            return text[:at], text[end:]
        at = end
    return None, text


def _bare(line: str) -> str:
    return "".join(line.split()).lower().lstrip("0123456789.")


def _titles(reader: PdfReader) -> Mapping[int, Sequence[Entry]]:
    """The outline's entries by the page that they lead to. An outline that makes no sense is as none."""
    found: dict[int, list[Entry]] = defaultdict(list)
    try:
        outline = reader.outline
        if outline:
            numbers = {id_of(page.indirect_reference): number for number, page in enumerate(reader.pages, 1)}
            for level, entry in _entries(outline):
                number = numbers.get(id_of(entry.page))
                title = clean.line(str(entry.title or ""), 200)
                if number is not None and title:
                    found[number].append((level, title))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - as above; the text can be read without it
        return {}
    return found


def _entries(outline: Sequence[Any], level: int = 1) -> Iterator[tuple[int, Destination]]:
    for entry in outline:
        if isinstance(entry, list):
            yield from _entries(entry, level + 1)
        elif level <= DEEPEST:
            yield level, entry


def id_of(reference: Any) -> int | None:
    """The number of the object that a reference leads to."""
    return getattr(reference, "idnum", None)
