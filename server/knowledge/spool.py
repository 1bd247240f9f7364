"""Files that wait to be ingested: `documents/<id>` in the data folder, each for its owner's eyes only."""

import asyncio
import errno
import fcntl
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import anyio
from anyio import to_thread

from server.errors import PayloadTooLarge, StorageFull
from server.storage.folder import owned_like

UNFINISHED = ".part"
PRESENCE = ".at-work-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
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
        here = await to_thread.run_sync(lambda: [path.name for path in self.folder.iterdir()])
        here = [name for name in here if not name.startswith(PRESENCE)]
        ids = list(dict.fromkeys(name.removesuffix(UNFINISHED) for name in here))
        needed = await wanted(ids)
        count = 0
        for name in here:
            if name in needed:
                continue
            # Whoever adds a document holds its file until its row is there: so the row is looked for once more when the
            # file is known to be nobody's.
            held = await to_thread.run_sync(_locked, self.folder / name)
            if held is None:
                continue
            with held:
                if name not in await wanted([name]):
                    await to_thread.run_sync(_unlink, self.folder / name)
                    count += 1
        return count

    def _forget(self, document_id: str, file: BinaryIO) -> None:
        with file:
            self.path(document_id).unlink(missing_ok=True)

    # ------------------------------------------------------------ in a thread

    def _make(self) -> None:
        _make_folder(self.folder)

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
        file = _made(unfinished)
        try:
            size = file.write(data) if isinstance(data, bytes) else _copy(data, file, most)
            file.flush()
            os.fsync(file.fileno())
            unfinished.rename(self.path(document_id))
            _sync_folder(self.folder)
        except BaseException as error:
            for path in (unfinished, self.path(document_id)):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # what it could not flush
                file.close()
            if isinstance(error, OSError) and error.errno in _FULL:
                raise StorageFull from error
            raise
        return file, size


class Presence:
    """Which processes are at work on a folder's files: each holds a lock that the system takes from it when it ends,
    however it ends."""

    def __init__(self, folder: Path, instance_id: str) -> None:
        self._folder = folder
        self._own = folder / f"{PRESENCE}{instance_id}"
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> "Presence":
        def take() -> BinaryIO:
            _make_folder(self._folder)
            return _made(self._own)

        self._file = await to_thread.run_sync(take)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._own.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()

    async def gone(self, instances: Iterable[str]) -> set[str]:
        """Those that are not at work here any more."""
        asked = set(instances)
        return await to_thread.run_sync(lambda: {one for one in asked if not self._at_work(one)})

    async def others(self, prefix: str) -> bool:
        """Whether another process is at work here whose name begins so."""
        return await to_thread.run_sync(
            lambda: any(
                self._at_work(one) for one in self._present(prefix) if self._folder / f"{PRESENCE}{one}" != self._own
            )
        )

    async def sweep(self) -> None:
        """Delete the locks of processes that were killed."""

        def look() -> None:
            for one in self._present():
                self._at_work(one)

        await to_thread.run_sync(look)

    def _present(self, prefix: str = "") -> Sequence[str]:
        return [path.name.removeprefix(PRESENCE) for path in self._folder.glob(f"{PRESENCE}{prefix}*")]

    def _at_work(self, instance_id: str) -> bool:
        path = self._folder / f"{PRESENCE}{instance_id}"
        if path == self._own:
            return True
        held = _locked(path)
        if held is None:
            return path.exists()
        with held:
            path.unlink(missing_ok=True)
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    owned_like(folder, folder.parent)


def _made(path: Path) -> BinaryIO:
    """A new file, locked for as long as it is open."""
    while True:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")
        owned_like(file.fileno(), path.parent)  # a command may be root's, and the server has to read the file
        fcntl.flock(file, fcntl.LOCK_EX)
        # A sweep may have come between the two lines.
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()


def _locked(path: Path) -> BinaryIO | None:
    """The file, locked; None if it is another's, or not there, or not to be read: then it is another user's."""
    try:
        file = path.open("rb")
    except (FileNotFoundError, PermissionError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


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


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
