"""What becomes of a spawned process whose parent is killed before it has got as far as running."""

import subprocess
import sys
from pathlib import Path

import psutil

PARENT = '''
import os
import pathlib
import sys
import time

from server.engines.vllm import processes


class Slow:
    """Takes its time to arrive, as vLLM's modules do."""

    def __reduce__(self):
        return arrive, (sys.argv[1],)


def arrive(path):
    pathlib.Path(path).write_text(str(os.getpid()))
    time.sleep(600)


if __name__ == "__main__":
    processes.SpawnedContext().Process(target=print, args=(Slow(),)).start()
    time.sleep(600)
'''


def test_a_parent_that_is_killed_takes_along_what_still_imports(tmp_path: Path) -> None:
    program, noted = tmp_path / "parent.py", tmp_path / "pid"
    program.write_text(PARENT)
    parent = psutil.Popen([sys.executable, str(program), str(noted)], stdin=subprocess.DEVNULL)
    child: psutil.Process | None = None
    try:
        while child is None:
            assert parent.poll() is None
            if noted.exists() and (text := noted.read_text()):
                child = psutil.Process(int(text))
            else:
                # Waits for nothing but time to pass, and ends early where the parent does.
                psutil.wait_procs([parent], timeout=0.05)
        parent.kill()
        parent.wait(10)
        gone, _ = psutil.wait_procs([child], timeout=10)
        assert gone, "it lives on"
    finally:
        for one in filter(None, (parent, child)):
            if one.is_running():
                one.kill()
