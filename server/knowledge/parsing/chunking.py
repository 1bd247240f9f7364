"""From blocks to chunks of a size that the embedding model reads at once."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from server.knowledge.parsing.parsed import BETWEEN, Block
from server.knowledge.records import Chunk

CHARACTERS_A_TOKEN = 10
"""A text is taken to have a token for so many characters at least. Some tokenizers take a long word for a single one,
and a chunk of it would be as long as the word."""
ABOVE = " › "
_GAP = re.compile(r"\s+")
_STOPS = frozenset(".!?…。！？।؟")
_STOPS_ALONE = "。！？"
"""What ends a sentence without a space after it."""
_CLOSING = "\"'”’»)]」』）"
_BREAK = re.compile(rf"\s+|[{_STOPS_ALONE}][{re.escape(_CLOSING)}]{{0,3}}")
_JOINERS = "\u200d\ufe0e\ufe0f"

Count = Callable[[str], int]


def chunked(blocks: Sequence[Block], tokens: Count, most: int = 256, overlap: int = 32) -> list[Chunk]:
    """Chunks of at most `most` tokens, headings included. They end where a block does if they can, otherwise where a
    sentence does, otherwise a word; none goes over a page or under another heading. overlap: tokens of whole sentences
    that a chunk repeats of the one before it, within one block. tokens: counts a text's.

    A chunk's text is `whole[start:end]` of the document's whole text, which is the blocks' texts with `BETWEEN` between
    them. A recording's chunk has the times of the first and the last block in it instead. Headings that take more than
    a third of `most` are shortened, the outermost ones first. `most` that is less than a few tokens is not kept to: a
    chunk has a character at least.
    """
    if most < 1 or not 0 <= overlap < most:
        raise ValueError("most is at least 1, and overlap less than it")
    chunks: list[Chunk] = []
    at = 0
    for (headings, page), group in groupby(blocks, key=lambda block: (block.headings, block.page)):
        section: list[Block] = []
        starts: list[int] = []
        for block in group:
            section.append(block)
            starts.append(at)
            at += len(block.text) + len(BETWEEN)
        heading = _heading(headings, tokens, most // 3)
        packing = _Packing(section, starts, heading, tokens, most, overlap)
        for start, end in packing.spans():
            text = packing.text(start, end)
            from_, to = packing.times(start, end)
            chunks.append(Chunk(len(chunks), text, heading, page, from_, to))
    return chunks


def _heading(headings: tuple[str, ...], tokens: Count, most: int) -> str:
    """As many of the innermost as fit; of a single one that does not, its beginning."""
    kept = headings
    while len(kept) > 1 and tokens(ABOVE.join(kept)) > most:
        kept = kept[1:]
    heading = ABOVE.join(kept)
    while heading and max(tokens(heading), len(heading) // CHARACTERS_A_TOKEN) > most:
        heading = heading[: len(heading) * 2 // 3].rstrip(" …") + "…" if len(heading) > 4 else ""
    return heading


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that is not cut any more, by its place in the section's text. whole: a sentence, which may be repeated.

    block: its number in the section. cost: tokens.
    """

    start: int
    end: int
    cost: int
    block: int
    whole: bool = True


class _Packing:
    """The chunks of one section: blocks on one page under the same headings."""

    def __init__(
        self, blocks: Sequence[Block], starts: Sequence[int], heading: str, tokens: Count, most: int, overlap: int
    ) -> None:
        self._blocks = blocks
        self._starts = starts
        self._heading = heading
        self._tokens = tokens
        self._most = most
        self._overlap = overlap
        self._text = BETWEEN.join(block.text for block in blocks)
        self._first = starts[0]
        self._empty = tokens("")  # what a tokenizer adds to any text
        self._budget = max(1, most - (tokens(f"{heading}\n") if heading else self._empty))
        self._ratio = 4.0  # characters a token, as last seen
        self._bounds = [start - self._first for start in starts]

    def text(self, start: int, end: int) -> str:
        return self._text[start:end]

    def times(self, start: int, end: int) -> tuple[int, int]:
        """Of a recording, milliseconds; otherwise characters of the document's whole text."""
        first, last = self._blocks[self._block_at(start)], self._blocks[self._block_at(end - 1)]
        if first.start is not None and last.end is not None:
            return first.start, last.end
        return self._first + start, self._first + end

    def spans(self) -> Iterator[tuple[int, int]]:
        """Start and end of each chunk in the section's text, in order."""
        held: list[_Unit] = []
        cost = 0
        for group in self._groups():
            size = sum(unit.cost for unit in group)
            fits = size <= self._budget
            if held and cost + size > self._budget and (fits or cost * 2 > self._budget):
                yield from self._emit(held)
                held, cost = [], 0
            for unit in group:
                if held and cost + unit.cost > self._budget:
                    yield from self._emit(held)
                    held = self._repeated(held, unit)
                    cost = sum(kept.cost for kept in held)
                held.append(unit)
                cost += unit.cost
        yield from self._emit(held)

    def _repeated(self, held: Sequence[_Unit], unit: _Unit) -> list[_Unit]:
        """The last sentences of the chunk before, as many as the overlap has room for."""
        room = min(self._overlap, self._budget - unit.cost)
        kept: list[_Unit] = []
        for before in reversed(held[1:]):
            room -= before.cost
            if room < 0 or before.block != unit.block or not before.whole:
                break
            kept.append(before)
        return kept[::-1]

    def _emit(self, units: Sequence[_Unit]) -> Iterator[tuple[int, int]]:
        """The units as a chunk, or as two where they are more tokens together than each by itself."""
        if not units:
            return
        start, end = self._trimmed(units[0].start, units[-1].end)
        if start == end:
            return
        if self._kept(start, end):
            yield start, end
        elif len(units) > 1:
            yield from self._emit(units[: len(units) // 2])
            yield from self._emit(units[len(units) // 2 :])
        else:
            cut = self._character(start, start + (end - start) // 2)
            block = units[0].block
            if start < cut < end:
                yield from self._emit([_Unit(start, cut, 0, block)])
                yield from self._emit([_Unit(cut, end, 0, block)])
            else:
                yield start, end

    def _kept(self, start: int, end: int) -> bool:
        text = self._text[start:end]
        return self._tokens(f"{self._heading}\n{text}" if self._heading else text) <= self._most

    # ------------------------------------------------------------ units

    def _groups(self) -> Iterator[list[_Unit]]:
        """A block's units: itself where it fits a chunk, or else its paragraphs, sentences, lines or words."""
        for number, block in enumerate(self._blocks):
            start = self._bounds[number]
            end = start + len(block.text)
            cost = self._cost(start, end)
            if cost <= self._budget:
                yield [_Unit(start, end, cost, number, whole=not block.lines)]
            else:
                yield list(self._parts(start, end, number, lines=block.lines))

    def _parts(self, start: int, end: int, number: int, *, lines: bool) -> Iterator[_Unit]:
        for paragraph in _split(self._text, start, end, BETWEEN) if lines else ((start, end),):
            if lines and (cost := self._cost(*paragraph)) <= self._budget:
                yield _Unit(*paragraph, cost, number, whole=False)
                continue
            pieces = _split(self._text, *paragraph, "\n") if lines else _sentences(self._text, *paragraph)
            for piece in pieces:
                cost = self._cost(*piece)
                if cost <= self._budget:
                    yield _Unit(*piece, cost, number, whole=not lines)
                else:
                    yield from self._cuts(*piece, number)

    def _cuts(self, start: int, end: int, number: int) -> Iterator[_Unit]:
        """A piece too long for a chunk, cut after words where it has any."""
        while start < end:
            cut = self._reach(start, end)
            yield _Unit(start, cut, min(self._cost(start, cut), self._budget), number, whole=False)
            start = cut

    def _reach(self, start: int, end: int) -> int:
        """The end of about as much as fits a chunk: a few counts of a text that is not much longer than one."""
        length = min(end - start, max(1, int(self._budget * self._ratio)))
        while (cost := self._cost(start, start + length)) > self._budget and length > 1:
            length = max(1, min(length - 1, length * self._budget // cost))
        self._ratio = min(length / cost, CHARACTERS_A_TOKEN)
        cut = start + length
        if cut >= end:
            return end
        word = max(self._text.rfind(" ", start + length // 2, cut), self._text.rfind("\n", start + length // 2, cut))
        return word + 1 if word > start else self._character(start, cut)

    def _character(self, start: int, cut: int) -> int:
        """Not between a letter and what is written over or under it."""
        at = cut
        while (
            start < at - 1
            and cut - at < 16
            and (
                unicodedata.category(self._text[at]) in ("Mn", "Mc", "Me")
                or self._text[at] in _JOINERS
                or self._text[at - 1] == "\u200d"
            )
        ):
            at -= 1
        return at if start < at else cut

    def _cost(self, start: int, end: int) -> int:
        floor = (end - start) // CHARACTERS_A_TOKEN
        if floor > self._budget:
            return floor  # too much whatever it counts, and counting takes time
        return max(1, floor, self._tokens(self._text[start:end]) - self._empty)

    def _trimmed(self, start: int, end: int) -> tuple[int, int]:
        while start < end and self._text[start].isspace():
            start += 1
        while start < end and self._text[end - 1].isspace():
            end -= 1
        return start, end

    def _block_at(self, place: int) -> int:
        low, high = 0, len(self._bounds)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._bounds[middle] <= place else (low, middle)
        return low


def _split(text: str, start: int, end: int, mark: str) -> Iterator[tuple[int, int]]:
    """The pieces between the marks, which belong to the piece before them."""
    while start < end:
        found = text.find(mark, start, end)
        cut = end if found == -1 else found + len(mark)
        yield start, cut
        start = cut


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Sentences with the space after them. A line's end is none, an empty line is."""
    for gap in _BREAK.finditer(text, start, end):
        if gap.end() >= end:
            break
        if gap[0][0] in _STOPS_ALONE or BETWEEN in gap[0] or _ends(text, gap.start(), start, text[gap.end()]):
            yield start, gap.end()
            start = gap.end()
    if start < end:
        yield start, end


def _ends(text: str, at: int, start: int, following: str) -> bool:
    """Whether a sentence ends before the place. `e.g. this` is none: a small letter follows."""
    for _ in range(3):
        if at > start and text[at - 1] in _CLOSING:
            at -= 1
    return at > start and text[at - 1] in _STOPS and not following.islower()
