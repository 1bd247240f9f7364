"""Markdown: its headings, its listings kept whole, its tables by their columns."""

import re

from server.knowledge.parsing import clean
from server.knowledge.parsing.formats.text import text_of
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_table

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
"""Of a table: the line between its head and its rows."""


def parse(source: Source, outline: Outline) -> None:
    lines = clean.clean(text_of(source, outline)).split("\n")
    reading = _Markdown(outline)
    at = 0
    while at < len(lines):
        at = reading.take(lines, at)
    reading.end_paragraph()


class _Markdown:
    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._paragraph: list[str] = []

    def take(self, lines: list[str], at: int) -> int:
        """The thing that begins on the line; the number of the line after it."""
        line = lines[at]
        if fence := _FENCE.match(line):
            return self._listing(lines, at, fence[1])
        if heading := _HEADING.match(line[:2_000]):
            self.end_paragraph()
            self._outline.heading(len(heading[1]), (heading[2] or "").rstrip("# \t") or "#")
        elif not line or line.isspace():
            self.end_paragraph()
        elif len(self._paragraph) == 1 and _UNDERLINE.match(line) and not _ITEM.match(self._paragraph[0]):
            title = self._paragraph.pop()
            self._outline.heading(1 if "=" in line else 2, title)
        elif "|" in line and at + 1 < len(lines) and "-" in lines[at + 1] and _RULE.match(lines[at + 1][:2_000]):
            return self._table(lines, at)
        else:
            self._paragraph.append(line)
        return at + 1

    def end_paragraph(self) -> None:
        if self._paragraph:
            items = sum(1 for line in self._paragraph if _ITEM.match(line))
            self._outline.text("\n".join(self._paragraph), lines=items * 2 >= len(self._paragraph))
            self._paragraph = []

    def _listing(self, lines: list[str], at: int, fence: str) -> int:
        """Up to the fence that closes it, or the end."""
        self.end_paragraph()
        end = at + 1
        while end < len(lines) and not lines[end].lstrip().startswith(fence):
            end += 1
        self._outline.text("\n".join(lines[at : end + 1]), lines=True)
        return end + 1

    def _table(self, lines: list[str], at: int) -> int:
        self.end_paragraph()
        end = at + 2
        while end < len(lines) and "|" in lines[end]:
            end += 1
        rows = [_cells(line) for line in (lines[at], *lines[at + 2 : end])]
        put_table(rows, self._outline, headed=True)
        return end


def _cells(line: str) -> list[str]:
    return [cell.replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
