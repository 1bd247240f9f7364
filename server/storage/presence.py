"""Which processes are at work on a folder's files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from server.storage.held_files import locked, made, make_folder

PRESENCE = ".at-work-"


class Presence:
    """Which processes are at work on a folder's files: each holds a lock that the system takes from it when it ends,
    however it ends."""

    def __init__(self, folder: Path, instance_id: str) -> None:
        self._folder = folder
        self._own = folder / f"{PRESENCE}{instance_id}"
        self._file: BinaryIO | None = None

    async def __aenter__(self) -> "Presence":
        def take() -> BinaryIO:
            make_folder(self._folder)
            return made(self._own)

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
        held = locked(path)
        if held is None:
            return path.exists()
        with held:
            path.unlink(missing_ok=True)
        return False
