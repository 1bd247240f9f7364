"""How much a document may hold, whatever its size on the disk."""

from dataclasses import dataclass

from server.errors import UnreadableDocument


@dataclass(frozen=True, slots=True)
class Bounds:
    """characters, blocks: of the text taken from it. unpacked: bytes that its packed parts may have in all, member:
    one of them. members: files in it, those of files within it included. depth: of files within files.
    """

    characters: int = 50_000_000
    blocks: int = 500_000
    unpacked: int = 2**30
    member: int = 256 * 2**20
    members: int = 10_000
    depth: int = 4


class OverBounds(UnreadableDocument):
    """More than the bounds allow: it ends the whole document, whichever file within it was being read."""


class Allowance:
    """What is left of the bounds for packed files. Everything that is read of one document draws on the same one."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._members = bounds.members
        self._unpacked = bounds.unpacked

    def enter(self, depth: int) -> None:
        """A file within files. Raises OverBounds where there are too many around it."""
        if depth > self._bounds.depth:
            raise OverBounds(f"The file holds files within files, more than {self._bounds.depth} deep.")

    def take(self, members: int = 1, size: int = 0, largest: int = 0) -> None:
        """So many files of `size` bytes in all. Raises OverBounds where that is more than is left."""
        self._members -= members
        self._unpacked -= size
        if self._members < 0:
            raise OverBounds(f"The file holds more than {self._bounds.members:,} files.")
        if largest > self._bounds.member:
            raise OverBounds(f"A part of the file unpacks to more than {self._bounds.member:,} bytes.")
        if self._unpacked < 0:
            raise OverBounds(f"The file unpacks to more than {self._bounds.unpacked:,} bytes.")
