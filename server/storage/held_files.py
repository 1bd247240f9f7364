"""Files that a process holds by the system's lock, which is taken from it when it ends, however it ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from server.errors import StorageFull
from server.storage.folder import owned_like

UNFINISHED = ".part"
"""How the names of files end that are being written."""
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@contextmanager
def telling_full() -> Iterator[None]:
    """Raises StorageFull where the system says that there is no room for a file."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    owned_like(folder, folder.parent)


def made(path: Path) -> BinaryIO:
    """A new file, locked for as long as it is open."""
    while True:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")
        owned_like(file.fileno(), path.parent)  # a command may be root's, and the server has to read the file
        fcntl.flock(file, fcntl.LOCK_EX)
        # A sweep may have come between the two lines.
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()


def locked(path: Path) -> BinaryIO | None:
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


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
