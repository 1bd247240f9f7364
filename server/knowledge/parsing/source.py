"""A file as the parsers get it, and what they may still take."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from server.knowledge.parsing.bounds import Allowance, Bounds


@dataclass(slots=True)
class Source:
    """file: seekable. suffix: of its name, in lower case, as `.pdf`; may be empty. depth: files that it lies in.

    progress: called with what is done, and of how many; pages, slides, sheets or files.
    """

    file: BinaryIO
    suffix: str
    bounds: Bounds
    allowance: Allowance
    depth: int = 0
    progress: Callable[[int, int], None] = field(default=lambda _done, _total: None)

    @property
    def size(self) -> int:
        return self.file.seek(0, io.SEEK_END)

    def data(self) -> bytes:
        self.file.seek(0)
        return self.file.read()

    def start(self, size: int) -> bytes:
        self.file.seek(0)
        return self.file.read(size)

    def member(self, name: str, data: bytes) -> "Source":
        """A file within this one. Raises OverBounds where it lies too deep."""
        self.allowance.enter(self.depth + 1)
        return Source(io.BytesIO(data), suffix_of(name), self.bounds, self.allowance, self.depth + 1)


def suffix_of(filename: str) -> str:
    """`.gz` of `a/b.tar.GZ`; empty where there is none."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""
