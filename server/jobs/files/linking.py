"""A second name for a file that is there, in another folder."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from server.storage.held_files import UNFINISHED, made, sync_folder, telling_full


def linked(source: Path, path: Path) -> tuple[BinaryIO, int]:
    """Give the bytes of `source` the name `path` too, on the disk, and lock them: the file, and its size in bytes.

    Where the file system has no second names, it is a copy. For a thread. Raises StorageFull, OSError.
    """
    with telling_full():
        file: BinaryIO = source.open("rb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                path.unlink()  # of an attempt that ended with its process
            try:
                os.link(source, path)
            except OSError:
                file = _copied(file, path)
            sync_folder(path.parent)
            return file, os.fstat(file.fileno()).st_size
        except BaseException:
            file.close()
            raise


def _copied(source: BinaryIO, path: Path) -> BinaryIO:
    part = path.with_name(f"{path.name}{UNFINISHED}")
    file = made(part)
    try:
        shutil.copyfileobj(source, file, 2**20)
        file.flush()
        os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        file.close()
        raise
    source.close()
    return file
