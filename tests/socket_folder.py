"""A folder for the sockets of a test's servers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 80
"""Characters of the folder's path. A socket's whole path may have 107 (unix(7))."""


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A new folder for the length of the block, which every user may reach and only this one may open.

    It is not pytest's, whose path holds a test's name and whose parents are closed to the user that root starts a
    server as; and it is not in the environment's temporary folder where that one is too deep or closed.
    """
    for parent in (tempfile.gettempdir(), "/tmp"):
        with tempfile.TemporaryDirectory(prefix="sagehold-", dir=parent) as name:
            folder = Path(name)
            if len(name) <= LONGEST and all(above.stat().st_mode & 0o001 for above in folder.parents):
                yield folder
                return
    raise RuntimeError("no temporary folder is short enough for a socket, and open to all users")
