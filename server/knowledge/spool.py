"""Files that wait to be ingested: `documents/<id>` in the data folder, each for its owner's eyes only."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import anyio
from anyio import to_thread

from server.errors import PayloadTooLarge
from server.storage.held_files import UNFINISHED, made, make_folder, sync_folder, telling_full
from server.storage.orphans import sweep

_PIECE = 2**20


class Spool:
    """Invariants: a file without the suffix of unfinished ones is whole and on the disk; a file that nobody has locked,
    and that no row of the database names, is nobody's, and `sweep` deletes it.

    Several processes may share a folder. File work runs in threads.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def start(self) -> None:
        await to_thread.run_sync(self._make)

    def path(self, document_id: str) -> Path:
        return self.folder / document_id

    @asynccontextmanager
    async def put(self, document_id: str, data: bytes | Path, most: int) -> AsyncGenerator[int, None]:
        """Keep a file; the block is given its bytes, and writes the row that names it. If it fails, there is no file.

        Raises PayloadTooLarge for more than `most` bytes, StorageFull, and OSError for a path that can't be read.
        """
        writing = asyncio.ensure_future(to_thread.run_sync(self._put, document_id, data, most))
        try:
            # The thread goes on where whoever waits for it is cancelled, and what it makes would be nobody's.
            file, size = await asyncio.shield(writing)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True), suppress(Exception):
                file, _ = await writing
                self._forget(document_id, file)
            raise
        try:
            yield size
        except BaseException:
            self._forget(document_id, file)
            raise
        file.close()  # and with it the lock

    async def remove(self, document_id: str) -> None:
        await to_thread.run_sync(_unlink, self.path(document_id))

    async def ids(self) -> set[str]:
        """Of the whole files that are here."""
        return await to_thread.run_sync(self._ids)

    async def sweep(self, wanted: Callable[[Sequence[str]], Awaitable[set[str]]]) -> int:
        """Delete what a crash has left. wanted: which of some ids are those of documents that need their file.

        How many files it was.
        """
        return await sweep(self.folder, wanted)

    def _forget(self, document_id: str, file: BinaryIO) -> None:
        with file:
            self.path(document_id).unlink(missing_ok=True)

    # ------------------------------------------------------------ in a thread

    def _make(self) -> None:
        make_folder(self.folder)

    def _ids(self) -> set[str]:
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            return {one.name for one in entries if not one.name.startswith(".") and not one.name.endswith(UNFINISHED)}
        return set()

    def _put(self, document_id: str, data: bytes | Path, most: int) -> tuple[BinaryIO, int]:
        """The file as it lies there, locked."""
        if isinstance(data, bytes) and len(data) > most:
            raise _too_large(most)
        self._make()
        unfinished = self.folder / f"{document_id}{UNFINISHED}"
        file = made(unfinished)
        try:
            with telling_full():
                size = file.write(data) if isinstance(data, bytes) else _copy(data, file, most)
                file.flush()
                os.fsync(file.fileno())
                unfinished.rename(self.path(document_id))
                sync_folder(self.folder)
        except BaseException:
            for path in (unfinished, self.path(document_id)):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # what it could not flush
                file.close()
            raise
        return file, size


def _copy(source: Path, file: BinaryIO, most: int) -> int:
    size = 0
    with source.open("rb") as given:
        if os.fstat(given.fileno()).st_size > most:
            raise _too_large(most)
        while piece := given.read(_PIECE):
            size += len(piece)
            if size > most:
                raise _too_large(most)
            file.write(piece)
    return size


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The document is too large: it may have {most:,} bytes.", param="file")


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
