"""The check that kills a front end: what it finds, and that it leaves nothing of it behind either way."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.acceptance import kill
from scripts.acceptance.check import Findings
from scripts.acceptance.processes import alive, tree
from scripts.acceptance.setting import Running, Setting

FRONT_END = """
import signal, socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
bound = "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGKILL); print(flush=True); signal.pause()"
loose = "import signal; print(flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", bound if sys.argv[1] == "bound" else loose], stdout=subprocess.PIPE)
child.stdout.readline()
print(listener.getsockname()[1], flush=True)
signal.pause()
"""
"""A server with one child, which dies with it if it is `bound`."""


@pytest.fixture
def front_end(request: pytest.FixtureRequest) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-c", FRONT_END, request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        processes = tree(process.pid)
        try:
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            for one in filter(alive, processes):
                one.kill()


def found(tmp_path: Path, front_end: tuple[int, str]) -> tuple[list[psutil.Process], dict[str, float | str]]:
    pid, url = front_end
    processes = tree(pid)
    findings = Findings()
    setting = Setting(tmp_path, tmp_path, gpu=False, running=Running(url, "", pid, "", 0.0, {}))
    kill.check(setting, findings)
    return processes, {figure.name: figure.value for figure in findings.figures if not figure.missed}


@pytest.mark.parametrize("front_end", ["bound"], indirect=True)
def test_a_server_whose_children_die_with_it_passes(tmp_path: Path, front_end: tuple[int, str]) -> None:
    _, good = found(tmp_path, front_end)
    assert set(good) == {"processes before", "until every process is gone", "until the port is free"}


@pytest.mark.parametrize("front_end", ["loose"], indirect=True)
def test_a_child_that_lives_on_is_found_and_ended(
    tmp_path: Path, front_end: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill, "WITHIN", 0.5)
    processes, good = found(tmp_path, front_end)
    assert "until every process is gone" not in good
    assert psutil.wait_procs(processes[1:], timeout=10)[1] == []
