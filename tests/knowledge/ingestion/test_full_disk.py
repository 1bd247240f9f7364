"""A document that is added to a disk without room: StorageFull, and nothing of it stays."""

import sys
from pathlib import Path

import pytest

from tests.faults.small_disk import needs_mounts, on_disk

pytestmark = [pytest.mark.timeout(120), needs_mounts]

ADD = """
import asyncio, os
from pathlib import Path
from server.errors import StorageFull
from server.knowledge.spool import Spool

folder = Path(os.environ["DISK"]) / "documents"
source = Path(os.environ["DISK"]).parent / "source"
source.write_bytes(bytes(2**20))

async def main():
    spool = Spool(folder)
    for data in (bytes(2**20), source):
        try:
            async with spool.put("doc_1", data, 2**30):
                raise AssertionError("it was taken")
        except StorageFull as error:
            print(error.status, error.code, sorted(folder.iterdir()))
    async with spool.put("doc_2", b"small", 2**30) as size:
        print(size)
    print([path.name for path in folder.iterdir()])

asyncio.run(main())
"""


def test_a_full_disk_takes_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    script = tmp_path / "add.py"
    script.write_text(ADD)
    done = on_disk(tmp_path / "disk", f'{sys.executable} "$SCRIPT"', size="256k", variables={"SCRIPT": str(script)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["503 storage_full []", "503 storage_full []", "5", "['doc_2']"]
