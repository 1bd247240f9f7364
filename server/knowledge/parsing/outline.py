"""Where the parsers put what they read: it keeps the headings, and the bounds."""

from collections.abc import Callable

from server.knowledge.parsing import clean
from server.knowledge.parsing.bounds import Bounds, OverBounds
from server.knowledge.parsing.parsed import BETWEEN, Block

LONGEST_BLOCK = 20_000
"""Characters. A longer text becomes several blocks, so that what leaves the process comes in pieces of a known size."""
LONGEST_HEADING = 200
DEEPEST = 12
"""Headings above each other, those of a file within a file included."""


class Sink:
    """Takes blocks until there are more than the bounds allow. Raises OverBounds then."""

    def __init__(self, send: Callable[[Block], None], bounds: Bounds) -> None:
        self._send = send
        self._bounds = bounds
        self.characters = 0
        self.blocks = 0

    def put(self, block: Block) -> None:
        self.blocks += 1
        self.characters += len(block.text) + len(BETWEEN)
        if self.characters > self._bounds.characters:
            raise OverBounds(f"The file has more than {self._bounds.characters:,} characters of text.")
        if self.blocks > self._bounds.blocks:
            raise OverBounds(f"The file has more than {self._bounds.blocks:,} paragraphs.")
        self._send(block)

    def foresee(self, characters: int) -> None:
        """Refuse at once what would be refused after all of it was put."""
        if characters > self._bounds.characters:
            raise OverBounds(f"The file has more than {self._bounds.characters:,} characters of text.")


class Outline:
    """Blocks under headings. A heading with nothing under it becomes a block itself, so that no word is lost.

    within: headings of whatever the file lies in. page: of the blocks that follow.
    """

    def __init__(self, sink: Sink, within: tuple[str, ...] = ()) -> None:
        self.sink = sink
        self.page: int | None = None
        self._within = within[:DEEPEST]
        self._stack: list[tuple[int, str]] = []
        self._bare = False

    @property
    def headings(self) -> tuple[str, ...]:
        return (*self._within, *(title for _, title in self._stack))[:DEEPEST]

    def heading(self, level: int, title: str) -> None:
        """level: 1 is the outermost."""
        title = clean.line(title)
        if not title:
            return
        if self._bare and level <= self._stack[-1][0]:
            self.flush()
        self._bare = False
        while self._stack and self._stack[-1][0] >= level:
            self._stack.pop()
        if self._stack and self._stack[-1][1] == title:  # as a page's title and its first heading often are
            return
        if len(title) > LONGEST_HEADING:  # a paragraph that looks like one
            self.text(title)
            return
        if len(self._within) + len(self._stack) >= DEEPEST:
            self.text(title)
            return
        self._stack.append((level, title))
        self._bare = True

    def text(self, text: str, *, lines: bool = False) -> None:
        """lines: as in `Block`. Nothing happens for a text of spaces."""
        text = clean.listing(text) if lines else clean.prose(text)
        if not text or text.isspace():
            return
        self._bare = False
        headings, at = self.headings, 0
        while at < len(text):
            cut = _cut(text, at, lines)
            piece = text[at:cut].strip("\n") if lines else text[at:cut].strip()
            if piece and not piece.isspace():
                self.sink.put(Block(piece, headings, self.page, lines=lines))
            at = cut

    def paragraphs(self, text: str) -> None:
        """Prose with empty lines between its paragraphs."""
        paragraph: list[str] = []
        for line in clean.clean(text).split("\n"):
            if line and not line.isspace():
                paragraph.append(line)
            elif paragraph:
                self.text("\n".join(paragraph))
                paragraph = []
        self.text("\n".join(paragraph))

    def begin(self, page: int) -> None:
        """A page, slide or sheet that the headings before it are not above."""
        self.flush()
        self._stack.clear()
        self.page = page

    def flush(self) -> None:
        """At the end: a last heading with nothing under it becomes a block."""
        if self._bare:
            self._bare = False
            _, title = self._stack.pop()
            self.sink.put(Block(title, self.headings, self.page))

    def under(self, title: str) -> "Outline":
        """For a file within this one, by its name."""
        self._bare = False
        name = clean.line(title, LONGEST_HEADING)
        return Outline(self.sink, (*self.headings, name) if name else self.headings)


def _cut(text: str, at: int, lines: bool) -> int:
    """Where a long text is cut: after a line's end, or else a sentence's, or else a word's, in its last half."""
    end = at + LONGEST_BLOCK
    if end >= len(text):
        return len(text)
    for mark in ("\n", " ") if lines else ("\n", ". ", "。", " "):
        cut = text.rfind(mark, end - LONGEST_BLOCK // 2, end)
        if cut != -1:
            return cut + len(mark)
    return end
