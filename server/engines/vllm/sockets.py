"""A folder for the sockets by which vLLM's processes talk. vLLM leaves them behind, whichever way it ends."""

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "VLLM_RPC_BASE_PATH"
PREFIX = "sagehold-vllm-"
LOCK = "lock"
LONGEST = 70
"""Bytes of the folder's path: a socket's whole path may have 107 (unix(7)), and vLLM's names have 36."""
UNLOCKED = 60.0
"""Seconds after which a folder without a lock is nobody's: whoever makes one locks it at once."""


def use_own_folder(environment: MutableMapping[str, str]) -> None:
    """Name a new folder in the environment, for this process and its children; a folder that is named there stays.

    The folders of processes that were killed go first. Where the temporary folder's path is too long, or nothing can be
    made in it, vLLM does as it would.
    """
    if VARIABLE in environment:
        return
    try:
        parent = Path(tempfile.gettempdir())
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        if len(os.fsencode(folder)) > LONGEST:
            folder.rmdir()
            return
        _lock(folder)
    except OSError:
        return
    environment[VARIABLE] = str(folder)
    global _made  # noqa: PLW0603 - a process has one environment
    _made = (os.getpid(), folder)


_made: tuple[int, Path] | None = None
"""The process that made a folder, and the folder."""


@atexit.register
def remove_own_folder() -> None:
    """At the end of the process that made it. Whoever ends without Python's own ceremony calls this before."""
    if _made is not None and _made[0] == os.getpid():  # a forked child is another process
        shutil.rmtree(_made[1], ignore_errors=True)


def _lock(folder: Path) -> None:
    """Hold its lock for as long as this process lives: the system takes it from one that is killed."""
    unfinished = folder / f".{LOCK}"
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unfinished.rename(folder / LOCK)  # it is seen only once it is held


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if folder.lstat().st_uid == os.geteuid() and folder.is_dir() and not folder.is_symlink() and _left(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _left(folder: Path) -> bool:
    """Whether the process that made it has ended."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > UNLOCKED
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
