"""A file on its way to the disk."""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from server.errors import PayloadTooLarge
from server.storage.held_files import UNFINISHED, made, make_folder, sync_folder, telling_full


class Tally:
    """Bytes of files that are on their way in, by account. For several threads."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, account_id: str, size: int) -> int:
        """How many they are now."""
        with self._lock:
            self._of[account_id] += size
            total = self._of[account_id]
            if not total:
                del self._of[account_id]
            return total

    def of(self, account_id: str) -> int:
        with self._lock:
            return self._of[account_id]


class Incoming:
    """Bytes that are written under the name `<id>.part`, and given their own name when they are all there.

    All of it is for threads. The file is locked until it is closed, so that no sweep takes it before its row is
    written; unless `entered` was called, nothing is left of it then. A thread that goes on where whoever waited for it
    was cancelled finds it closed, and writes nothing.
    """

    def __init__(self, folder: Path, file_id: str, account_id: str, tally: Tally, *, most: int, room: int) -> None:
        """most: bytes that the file may have. room: bytes that all files of the account that are on their way in may
        have together."""
        self.id = file_id
        self.account_id = account_id
        self.path = folder / file_id
        self.size = 0
        self._part = folder / f"{file_id}{UNFINISHED}"
        self._tally = tally
        self._most = most
        self._room = room
        self._file: BinaryIO | None = None
        self._entered = self._closed = False
        self._lock = Lock()

    def open(self) -> None:
        """Raises StorageFull."""
        with self._lock, telling_full():
            if not self._closed:
                make_folder(self._part.parent)
                self._file = made(self._part)

    def write(self, data: bytes | memoryview) -> None:
        """Raises PayloadTooLarge, StorageFull."""
        with self._lock:
            if self._file is None:
                return
            if self.size + len(data) > self._most:
                raise too_large(self._most, self.size + len(data))
            self.size += len(data)
            if self._tally.add(self.account_id, len(data)) > self._room:
                raise no_room()
            with telling_full():
                self._file.write(data)

    def finish(self) -> None:
        """Let all of it be on the disk, under its own name. Raises StorageFull."""
        with self._lock:
            if self._file is None:
                return
            with telling_full():
                self._file.flush()
                os.fsync(self._file.fileno())
                self._part.rename(self.path)
                sync_folder(self.path.parent)

    def entered(self) -> None:
        """There is a row that names it."""
        self._entered = True

    def close(self) -> None:
        with self._lock:
            self._closed = True
            file, self._file = self._file, None
            self._tally.add(self.account_id, -self.size)
            if not self._entered:
                self._part.unlink(missing_ok=True)
                self.path.unlink(missing_ok=True)
            if file is not None:
                with suppress(OSError):  # what it could not flush
                    file.close()


def too_large(most: int, size: int) -> PayloadTooLarge:
    # The OpenAI API's own wording, which clients look for.
    return PayloadTooLarge(f"Maximum content size limit ({most}) exceeded ({size} bytes read)", param="file")


def no_room() -> PayloadTooLarge:
    return PayloadTooLarge(
        "The account's files would be more than it may keep here. Delete some that are needed no longer.", param="file"
    )


def too_many(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The account has {most:,} files, which is the most it may keep here. Delete some that are needed no longer.",
        param="file",
    )
