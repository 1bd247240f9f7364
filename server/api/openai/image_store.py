"""Generated images on disk, each behind an unguessable name, for as long as its URL lives."""

import errno
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from server.core import ImageFormat
from server.errors import StorageFull

EXTENSIONS: dict[ImageFormat, str] = {"png": "png", "jpeg": "jpg", "webp": "webp"}
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

_RANDOM_BYTES = 20  # 160 bits: the name is the only thing that guards a picture
_NAME = re.compile(rf"[0-9a-f]{{{2 * _RANDOM_BYTES}}}\.(?:png|jpg|webp)")
_UNFINISHED = ".unfinished-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture as kept. expires_in: seconds that its URL still lives."""

    data: bytes
    media_type: str
    expires_in: float


class ImageStore:
    """A folder of pictures that forgets.

    Invariants: a file in the folder is complete or carries the prefix of unfinished ones; no picture older than
    `ttl` seconds is given out; after a `put` the folder holds at most `max_bytes`, and what was dropped for
    that is the oldest. All state is in the folder (a picture's age is its modification time), so a restart
    changes nothing and several processes may share it. File work runs in threads.
    """

    def __init__(self, folder: Path, *, ttl: float, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._clock = clock

    async def start(self) -> None:
        """Make the folder and drop what a crash or an earlier run left behind. Call once, before serving."""
        await to_thread.run_sync(self._start)

    async def put(self, data: bytes, kind: ImageFormat) -> str:
        """Keep a picture. Returns its file name. Raises StorageFull, with nothing half-written."""
        return await to_thread.run_sync(partial(self._put, data, EXTENSIONS[kind]))

    async def get(self, name: str) -> StoredImage | None:
        """The picture of that file name; None if there is none, or its time is over."""
        return await to_thread.run_sync(self._get, name)

    async def sweep(self) -> None:
        """Drop the expired pictures, then the oldest until the rest fits."""
        await to_thread.run_sync(self._sweep)

    async def keep_swept(self, every: float = 60.0) -> None:
        """Sweep for ever, each `every` seconds, so that expired pictures leave the disk on quiet days too."""
        while True:
            await anyio.sleep(every)
            await self.sweep()

    # ------------------------------------------------------------ in a thread

    def _start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.glob(f"{_UNFINISHED}*"):
            path.unlink(missing_ok=True)
        self._sweep()

    def _put(self, data: bytes, extension: str) -> str:
        if len(data) > self._max_bytes:
            raise StorageFull("The picture is larger than all the room that this server gives to pictures.")
        name = f"{secrets.token_hex(_RANDOM_BYTES)}.{extension}"
        try:
            self._write(self._folder / name, data)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull from error
            raise
        self._sweep(newest=name)
        return name

    def _write(self, path: Path, data: bytes) -> None:
        """Write beside the target, then rename: readers and crashes see all of a picture or nothing."""
        handle, temporary = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._folder)
        unfinished = Path(temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            now = self._clock()
            os.utime(unfinished, (now, now))
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _get(self, name: str) -> StoredImage | None:
        # Anything but a name of ours, such as one with a slash in it, never reaches the file system.
        if _NAME.fullmatch(name) is None:
            return None
        path = self._folder / name
        try:
            expires_in = path.stat().st_mtime + self._ttl - self._clock()
            if expires_in <= 0:
                path.unlink(missing_ok=True)
                return None
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        return StoredImage(data, MEDIA_TYPES[path.suffix[1:]], expires_in)

    def _sweep(self, newest: str = "") -> None:
        kept: list[tuple[float, bool, int, str]] = []
        deadline = self._clock() - self._ttl
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name) is None:
                    continue
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another sweep was faster
                if not stat.S_ISREG(facts.st_mode):
                    continue
                if facts.st_mtime > deadline:
                    # Within one tick of the clock, the picture that was written just now counts as the youngest.
                    kept.append((facts.st_mtime, entry.name == newest, facts.st_size, entry.path))
                else:
                    Path(entry.path).unlink(missing_ok=True)
        excess = sum(size for _, _, size, _ in kept) - self._max_bytes
        for _, _, size, path in sorted(kept):
            if excess <= 0:
                break
            Path(path).unlink(missing_ok=True)
            excess -= size
