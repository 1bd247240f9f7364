"""The data folder: can the server work in it, and does one?"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from server.storage.opening import DatabaseError

LOCK = "in-use.lock"


class FolderLock:
    """Who works in a data folder shares its lock; who replaces what lies there must have it alone.

    The system lets go of it when a process ends, however it ends.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir.resolve() / LOCK
        self._file: int | None = None

    @property
    def there(self) -> bool:
        """Whether anybody has worked in the folder yet."""
        return self._path.exists()

    def share(self) -> None:
        """Raises DatabaseError while the folder is being restored."""
        if not self._take(fcntl.LOCK_SH):
            raise DatabaseError(f"{self._path.parent} is being restored right now. Try again when that is done.")

    def claim(self) -> None:
        """Raises DatabaseError while a server or a command works in the folder."""
        if not self._take(fcntl.LOCK_EX):
            raise DatabaseError(f"{self._path.parent} is in use: stop the server that works there first.")

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, kind: int) -> bool:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError), made_in(self._path):
                pass
            self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            self.release()
            raise DatabaseError(unusable(self._path.parent, error)) from error
        return True


@contextmanager
def made_in(path: Path) -> Iterator[BinaryIO]:
    """A new file, for its owner's eyes only. Raises OSError, FileExistsError where there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        owned_like(descriptor, path.parent)
        yield file


def owned_like(file: int | Path, folder: Path) -> None:
    """Give a file that root has made to the owner of `folder`, as whom the server runs that has to read it.

    file: open, or at a place where nobody else can put another one. Raises OSError.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def prepare(data_dir: Path) -> None:
    """Make the data folder if it is not there, and try whether files can be written in it.

    Raises DatabaseError for one that can't be made, is read-only, or lies on a full disk.
    """
    folder = data_dir.resolve()
    trial = folder / f".trial-{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise DatabaseError(f"SAGEHOLD_DATA_DIR: can't make {folder}: {reason}. Name another folder.") from error
    try:
        descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            trial.unlink()
    except OSError as error:
        raise DatabaseError(unusable(folder, error)) from error


def unusable(folder: Path, error: OSError) -> str:
    return (
        f"SAGEHOLD_DATA_DIR: can't write in {folder}: {error.strerror}. Make it writable for the server's user, free "
        "some space, or name another folder."
    )
