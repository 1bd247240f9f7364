"""A file that comes to a disk without room: StorageFull, and nothing of it stays."""

import sys
from pathlib import Path

import pytest

from tests.faults.small_disk import needs_mounts, on_disk

pytestmark = [pytest.mark.timeout(120), needs_mounts]

ADD = """
import os
from pathlib import Path
from server.errors import StorageFull
from server.jobs.files.incoming import Incoming, Tally
from server.jobs.files.linking import linked

folder = Path(os.environ["DISK"]) / "files"
folder.mkdir()
source = Path(os.environ["DISK"]).parent / "source"
source.write_bytes(bytes(2**20))
tally = Tally()

def coming(name):
    return Incoming(folder, name, "acct_1", tally, most=2**30, room=2**30)

incoming = coming("file-1")
incoming.open()
try:
    for _ in range(16):
        incoming.write(bytes(2**16))
    raise AssertionError("it was taken")
except StorageFull as error:
    print(error.status, error.code, tally.of("acct_1") > 0)
incoming.close()
print(sorted(folder.iterdir()), tally.of("acct_1"))
try:
    linked(source, folder / "file-2")  # of another file system, so that it is copied
    raise AssertionError("it was taken")
except StorageFull:
    print(sorted(folder.iterdir()))
incoming = coming("file-3")
incoming.open()
incoming.write(b"small")
incoming.finish()
incoming.entered()
incoming.close()
print([path.name for path in folder.iterdir()])
"""


def test_a_full_disk_takes_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    script = tmp_path / "add.py"
    script.write_text(ADD)
    done = on_disk(tmp_path / "disk", f'{sys.executable} "$SCRIPT"', size="256k", variables={"SCRIPT": str(script)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["503 storage_full True", "[] 0", "[]", "['file-3']"]
