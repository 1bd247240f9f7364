"""A process that is killed while a file comes: what it has left is swept, and not before it has ended."""

import subprocess
import sys

import pytest

from tests.jobs.files.conftest import Cabinet

pytestmark = pytest.mark.anyio

RECEIVE = """
import sys
from pathlib import Path
from server.jobs.files.incoming import Incoming, Tally

incoming = Incoming(Path(sys.argv[1]), sys.argv[2], "acct_1", Tally(), most=2**30, room=2**30)
incoming.open()
incoming.write(bytes(2**20))
if sys.argv[3] == "whole":
    incoming.finish()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("far", ["half", "whole"])
async def test_what_a_killed_process_has_left_is_swept(cabinet: Cabinet, far: str) -> None:
    kept = await cabinet.keep(cabinet.ada)
    command = [sys.executable, "-c", RECEIVE, str(cabinet.folder), "file-1", far]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        there = sorted([kept.id, "file-1" if far == "whole" else "file-1.part"])
        await cabinet.files.sweep()
        assert cabinet.names == there, "it is at work on it"
        process.kill()
        process.wait()
        assert cabinet.names == there
        await cabinet.files.sweep()
        assert cabinet.names == [kept.id]
