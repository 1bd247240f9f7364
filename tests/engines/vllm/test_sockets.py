"""vLLM's sockets lie in a folder that goes with the process, or with the next one."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from server.engines.vllm import sockets

HELD = """
import os, sys, time
from server.engines.vllm import sockets
sockets.use_own_folder(os.environ)
print(os.environ[sockets.VARIABLE], flush=True)
sys.stdin.read()
if sys.argv[1] == "at once":
    sockets.remove_own_folder()
    os._exit(0)
"""


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv(sockets.VARIABLE, raising=False)
    return folder


def holder(how: str) -> tuple["subprocess.Popen[str]", Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("how", ["orderly", "at once"])
def test_it_goes_with_its_process(parent: Path, how: str) -> None:
    process, folder = holder(how)
    assert folder.parent == parent
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "socket").touch()
    process.communicate("")
    assert list(parent.iterdir()) == []


def test_the_next_process_removes_what_a_killed_one_left_and_nothing_else(parent: Path) -> None:
    killed, left = holder("killed")
    alive, kept = holder("orderly")
    (parent / "other").mkdir()
    (parent / f"{sockets.PREFIX}link").symlink_to(parent / "other")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    variables: dict[str, str] = {}
    sockets.use_own_folder(variables)
    own = Path(variables[sockets.VARIABLE])
    assert not left.exists()
    assert {path.name for path in parent.iterdir()} == {kept.name, own.name, "other", f"{sockets.PREFIX}link"}
    alive.communicate("")
    killed.communicate()


def test_one_that_is_just_being_made_stays(parent: Path) -> None:
    unlocked = parent / f"{sockets.PREFIX}new"
    unlocked.mkdir()
    sockets.use_own_folder({})
    assert unlocked.exists()
    os.utime(unlocked, (0, 0))
    sockets.use_own_folder({})
    assert not unlocked.exists()


def test_what_the_operator_named_is_used_and_stays(parent: Path) -> None:
    named = parent / "named"
    named.mkdir()
    variables = {sockets.VARIABLE: str(named)}
    sockets.use_own_folder(variables)
    assert variables == {sockets.VARIABLE: str(named)}
    assert named.exists()


def test_a_path_too_long_for_sockets_is_left_to_vllm(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = parent / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    variables: dict[str, str] = {}
    sockets.use_own_folder(variables)
    assert variables == {}
    assert list(long.iterdir()) == []
