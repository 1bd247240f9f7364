"""The fork server as a copy of a front end that is at work: nothing of that runs on in it, or in its children."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.engines.vllm import forkserver, hardware, libraries, processes

FRONT_END = """
import asyncio, json, multiprocessing, os, signal, socket, sys, time
import uvloop
from server.engines.vllm import forkserver

def look(path):
    files = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            files[entry] = os.readlink("/proc/self/fd/" + entry)
        except OSError:
            pass  # the listing's own
    with open(path, "w") as file:
        json.dump({
            "parent": os.getppid(),
            "session": os.getsid(0),
            "files": files,
            "handlers": [repr(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGCHLD)],
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "threads": len(os.listdir("/proc/self/task")),
            "name": open("/proc/" + str(os.getppid()) + "/comm").read().strip(),
            "prepared": os.environ.get("PREPARED"),
        }, file)

def stay():
    time.sleep(3600)

def prepare():
    os.environ["PREPARED"] = "yes"

async def front_end(path):
    signal.signal(signal.SIGTERM, lambda *_: print("the front end's handler"))
    listener = socket.create_server(("127.0.0.1", 0))
    asyncio.get_running_loop().add_reader(listener, lambda: None)
    await asyncio.to_thread(os.getpid)  # a thread that stays
    await (await asyncio.create_subprocess_exec("true")).wait()  # the loop's own handler of SIGCHLD
    print("said once")
    forkserver.copy(prepare)
    context = multiprocessing.get_context("forkserver")
    looking = context.Process(target=look, args=(path,))
    looking.start()
    await asyncio.to_thread(looking.join)
    staying = context.Process(target=stay)
    staying.start()
    staying.terminate()
    await asyncio.to_thread(staying.join)
    print(json.dumps([os.getpid(), forkserver.pids(), looking.exitcode, staying.exitcode]), flush=True)
    sys.stdin.read()
    os._exit(0)

if __name__ == "__main__":
    uvloop.run(front_end(sys.argv[1]))
"""


@pytest.fixture
def _unplanned() -> Iterator[None]:
    yield
    forkserver.drop_plan()


def test_a_copy_has_nothing_of_the_front_end_and_ends_with_it(tmp_path: Path) -> None:
    script, seen = tmp_path / "front_end.py", tmp_path / "seen.json"
    script.write_text(FRONT_END)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, str(script), str(seen)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "said once\n"
        front_end, [server], looked, stayed = json.loads(made.stdout.readline())
        found: dict[str, Any] = json.loads(seen.read_text())
        ends = os.pidfd_open(server)
    assert front_end == made.pid
    assert (looked, stayed) == (0, -signal.SIGTERM)
    assert (found["parent"], found["session"]) == (server, server)
    assert [file for file in found["files"].values() if "socket" in file or "event" in file] == []
    assert found["handlers"] == ["<Handlers.SIG_DFL: 0>"] * 2
    assert found["blocked"] == []
    assert found["threads"] == 1
    assert found["prepared"] == "yes"
    assert found["name"] == processes.NAME
    assert _ended(ends)


@pytest.mark.parametrize("how", ["copy", "start"])
def test_no_signal_comes_between_a_fork_and_what_the_new_process_makes_of_it(how: str) -> None:
    """multiprocessing's resource tracker, whose first start this is, unblocks signals when it has started."""
    code = f"""
import os, signal
from multiprocessing import forkserver as servers, util
from server.engines.vllm import forkserver, hardware

def blocked():
    return sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))

def refuse(*_):
    print(blocked())
    raise OSError

hardware.cuda = lambda: False
forkserver._preload = lambda before: ""
if {how!r} == "copy":
    os.fork = refuse
else:
    servers.util = type("util", (), dict(vars(util), spawnv_passfds=refuse))
try:
    forkserver.copy(lambda: None) if {how!r} == "copy" else forkserver.start()
except OSError:
    print(blocked())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = sorted([signal.SIGINT, signal.SIGTERM, signal.SIGHUP] if how == "copy" else [signal.SIGINT])
    assert found.stdout.splitlines() == [str([int(one) for one in expected]), "[]"]


def _ended(process: int) -> bool:
    """Wait until the process of this file descriptor has ended."""
    readable, _, _ = select.select([process], [], [], 30)
    os.close(process)
    return bool(readable)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, _unplanned: None) -> list[str]:
    """What a load has had done for its processes."""
    found: list[str] = []
    monkeypatch.setattr(forkserver, "start", lambda: found.append("start"))
    monkeypatch.setattr(forkserver, "copy", lambda prepare: found.append("copy"))
    monkeypatch.setattr(libraries, "load", lambda *modules: found.append(modules[-1]))
    monkeypatch.setattr(hardware, "cuda", lambda: False)
    monkeypatch.setattr(forkserver, "_preload", lambda before: "libgomp.so.1")
    return found


@pytest.mark.anyio
async def test_the_first_load_imports_once_for_all_and_the_next_ones_start_anew(done: list[str]) -> None:
    forkserver.plan()
    assert done == []
    await forkserver.begin()
    await forkserver.begin()
    assert done == ["vllm.v1.worker.cpu_worker", "copy", "start"]


@pytest.mark.anyio
async def test_a_server_that_is_whole_is_not_copied(done: list[str]) -> None:
    forkserver.plan()
    forkserver.drop_plan()
    await forkserver.begin()
    assert done == ["start"]


@pytest.mark.parametrize("reason", ["CUDA", "an allocator that only a new process can have"])
def test_what_a_copy_cannot_have_is_started_at_once(
    done: list[str], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "CUDA":
        monkeypatch.setattr(hardware, "cuda", lambda: True)
    else:
        monkeypatch.setattr(forkserver, "_preload", lambda before: "/vllm/libs/libtcmalloc_minimal.so.4:libgomp.so.1")
    forkserver.plan()
    assert done == ["start"]


@pytest.mark.anyio
@pytest.mark.parametrize("reason", ["imports", "fork"])
async def test_where_no_copy_can_be_made_one_is_started(
    done: list[str], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """What is wrong with the imports is told by the load, in words, as it comes to them."""

    def broken(*_: object) -> None:
        raise ImportError if reason == "imports" else OSError("no process more")

    monkeypatch.setattr(*((libraries, "load") if reason == "imports" else (forkserver, "copy")), broken)
    forkserver.plan()
    await forkserver.begin()
    assert done[-1] == "start"
