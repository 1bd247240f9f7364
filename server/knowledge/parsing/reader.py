"""Reads one document in a process of its own, within a time and a memory."""

from collections.abc import Callable, Sequence
from pathlib import Path

from server.knowledge.parsing.parsed import Block

SUFFIXES: frozenset[str] = frozenset()
"""Of files that are read, as `.pdf`; recordings are not among them, see `sound`."""


def sound(filename: str) -> bool:
    """Whether a file of that name is a recording, which is transcribed rather than parsed."""
    raise NotImplementedError


async def read(
    path: Path,
    filename: str,
    *,
    timeout: float,
    memory: int,
    progress: Callable[[int, int], None] | None = None,
) -> Sequence[Block]:
    """The file's blocks, in order. filename: its suffix, and its first bytes, say what it is. timeout: seconds.
    memory: bytes. progress: pages or the like that are done, and of how many.

    Raises UnreadableDocument. A cancellation ends the process.
    """
    raise NotImplementedError
