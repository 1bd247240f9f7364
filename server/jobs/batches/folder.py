"""What a batch has on the disk: `batches/<id>/` in the data folder, for its owner's eyes only."""

import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from anyio import to_thread

from server.jobs.batches.records import is_id
from server.jobs.files.linking import linked
from server.storage.held_files import locked, made, make_folder, sync_folder, telling_full

LOCK = ".lock"
UNLOCKED = 3600.0
"""Seconds after which a folder without a lock is what a crash has left."""


class BatchFolder:
    """One batch's, held by this process from when it is made or taken until `close`: no other process works on it
    meanwhile, nor does another part of this one. The system lets go of it when the process ends, however it ends.

    All of it is for threads.
    """

    def __init__(self, path: Path, lock: BinaryIO) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, path: Path, source: Path) -> Self:
        """With the input file as `input.jsonl`: a second name of the same bytes, so that it stays when the file is
        deleted, or a copy. Afterwards it survives a loss of power. Raises StorageFull, OSError; then there is
        nothing."""
        try:
            with telling_full():
                make_folder(path)
                lock = made(path / LOCK)
            try:
                held, _ = linked(source, path / "input.jsonl")
                held.close()
                sync_folder(path.parent)
            except BaseException:
                lock.close()
                raise
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return cls(path, lock)

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """One that is there. None where there is none, or somebody has it."""
        lock = locked(path / LOCK)
        if lock is None:
            return None
        if not (path / "input.jsonl").exists():  # it was being deleted
            lock.close()
            return None
        return cls(path, lock)

    @property
    def input(self) -> Path:
        return self.path / "input.jsonl"

    @property
    def output(self) -> Path:
        return self.path / "output.jsonl"

    @property
    def errors(self) -> Path:
        return self.path / "errors.jsonl"

    def remove(self) -> None:
        """Delete all of it. The lock goes last, so that whoever finds the folder finds it held."""
        for one in (self.errors, self.output, self.input):
            one.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BatchFolders:
    """All of them. Several processes may share them."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now

    async def start(self) -> None:
        await to_thread.run_sync(make_folder, self._folder)

    def path(self, batch_id: str) -> Path:
        return self._folder / batch_id

    async def here(self, ids: Sequence[str]) -> list[str]:
        """Of some ids those whose folder is here."""
        return await to_thread.run_sync(lambda: [one for one in ids if (self.path(one) / LOCK).exists()])

    async def sweep(self, wanted: Callable[[Sequence[str]], Awaitable[set[str]]]) -> int:
        """Delete what a crash has left. wanted: which of some ids, at most 500, are those of batches that are not done.

        How many folders it was.
        """
        names = await to_thread.run_sync(self._names)
        count = 0
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            for name in set(some) - await wanted(some):
                # Whoever makes a batch holds its folder until the row is there: so the row is looked for once more.
                lock = await to_thread.run_sync(locked, self.path(name) / LOCK)
                if lock is None and not await to_thread.run_sync(self._forgotten, name):
                    continue
                try:
                    if name not in await wanted([name]):
                        await to_thread.run_sync(partial(shutil.rmtree, self.path(name), ignore_errors=True))
                        count += 1
                finally:
                    if lock is not None:
                        lock.close()
        return count

    def _names(self) -> list[str]:
        with suppress(FileNotFoundError):
            return [path.name for path in self._folder.iterdir() if is_id(path.name)]
        return []

    def _forgotten(self, name: str) -> bool:
        path = self.path(name)
        with suppress(OSError):
            return not (path / LOCK).exists() and self._now() - path.stat().st_mtime > UNLOCKED
        return False


_AT_ONCE = 500
