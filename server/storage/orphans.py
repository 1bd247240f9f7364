"""Files of a folder that no row of the database names: what a crash has left."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from anyio import to_thread

from server.storage.held_files import UNFINISHED, locked
from server.storage.presence import PRESENCE

_AT_ONCE = 500


async def sweep(folder: Path, wanted: Callable[[Sequence[str]], Awaitable[set[str]]]) -> int:
    """Delete what a crash has left. wanted: which of some ids, at most 500, are those of rows that need their file.

    How many files it was. A file that a process has locked is none of them.
    """
    here = await to_thread.run_sync(lambda: [path.name for path in folder.iterdir()])
    here = [name for name in here if not name.startswith(PRESENCE)]
    count = 0
    for first in range(0, len(here), _AT_ONCE):
        names = here[first : first + _AT_ONCE]
        needed = await wanted(list(dict.fromkeys(name.removesuffix(UNFINISHED) for name in names)))
        for name in names:
            if name in needed:
                continue
            # Whoever adds a file holds it until its row is there: so the row is looked for once more when the file is
            # known to be nobody's.
            held = await to_thread.run_sync(locked, folder / name)
            if held is None:
                continue
            with held:
                if name not in await wanted([name]):
                    await to_thread.run_sync(_unlink, folder / name)
                    count += 1
    return count


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
