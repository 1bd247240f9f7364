"""The server's process tree with the choices for CUDA: what each process inherits, and what its end ends.

The processor computes; how its processes are started, stopped and lost is as on a GPU.
"""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.e2e.conftest import installed
from tests.e2e.live import CHAT, EAR, START, VOICE, LiveServer, kill, lives, until

pytestmark = [pytest.mark.models, pytest.mark.timeout(START + 120)]

OTHER = "other"
"""A second chat model, for which there is no room beside the first."""
AS_CUDA = (sys.executable, str(Path(__file__).parent / "as_cuda.py"))
SPAWNED = ("/usr/bin/env", "VLLM_WORKER_MULTIPROC_METHOD=spawn", *AS_CUDA)
SOON = 20.0
"""Seconds in which a process must have followed the one that it belongs to."""


def crowd(configs: Path) -> None:
    """Two chat models with room for one."""
    chat = configs / f"{CHAT}.yaml"
    text = chat.read_text() + "host_memory: 4GiB\n"
    chat.write_text(text)
    (configs / f"{OTHER}.yaml").write_text(text.replace(f"name: {CHAT}", f"name: {OTHER}") + "load: lazy\n")
    for media in (VOICE, EAR):
        with (configs / f"{media}.yaml").open("a") as config:
            config.write("host_memory: 200MiB\n")


@contextmanager
def serving(
    folder: Path,
    before: tuple[str, ...] = AS_CUDA,
    models: str = f"{CHAT},{OTHER},{VOICE},{EAR}",
    *,
    announced: bool = True,
) -> Iterator[LiveServer]:
    """A server with nothing loaded yet. Whatever is left of it at the end is killed.

    announced: whether it has printed its address, which it does once its chat model's core has begun.
    """
    installed()
    # The front end takes one GiB of it, a chat model four until it is loaded and two from then on.
    settings = {"host_memory": str(6 << 30), "models": models}
    live = LiveServer(folder, before=before, settings=settings, change=crowd)
    tree: list[psutil.Process] = []
    try:
        if announced:
            live.wait_announced()
        yield live
        if live.process.poll() is None:
            tree = live.processes()
            live.stop()
    except BaseException:
        sys.stderr.write(live.log[-6000:])
        raise
    finally:
        for one in [*tree, *(live.processes() if live.process.poll() is None else ())]:
            if lives(one):
                one.kill()
        live.process.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("cuda")) as live:
        live.wait_ready(fresh=True)
        yield live


def greedy(live: LiveServer, model: str = CHAT) -> str | None:
    with live.client() as sdk:
        asked: list[Any] = [{"role": "user", "content": "What is the capital of Japan?"}]
        return sdk.chat.completions.create(model=model, messages=asked, temperature=0).choices[0].message.content


def answers(live: LiveServer) -> bool:
    """Whether the chat model answers, and right. A request that comes before its end is known dies with it."""
    try:
        return greedy(live) == "The capital of Japan is Tokyo."
    except openai.InternalServerError:
        return False


def sockets(process: psutil.Process) -> set[str]:
    """Its sockets by inode, but for its standard streams."""
    found = set()
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        if int(entry.name) > 2:
            with suppress(FileNotFoundError):  # it was closed meanwhile
                found.add(str(entry.readlink()))
    return {link for link in found if link.startswith("socket:")}


def assert_nothing_shared(tree: list[psutil.Process]) -> None:
    held = [(process, sockets(process)) for process in tree]
    for (one, ours), (other, theirs) in combinations(held, 2):
        assert not ours & theirs, f"{one} and {other} share sockets"


def assert_gone(tree: list[psutil.Process]) -> None:
    try:
        until(lambda: not [one for one in tree if lives(one)], f"every process ends: {tree}", within=SOON)
    finally:
        for one in tree:
            if lives(one):
                one.kill()


def assert_port_free(url: str) -> None:
    address = httpx.URL(url)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((address.host, address.port))
        taken.listen()


def test_no_process_has_a_socket_of_another(served: LiveServer) -> None:
    tree = served.processes()
    commands = [" ".join(process.cmdline()) for process in tree]
    assert len([command for command in commands if "server.engines.worker.child" in command]) == 2
    assert served.core_worker() in tree
    assert len(sockets(psutil.Process(served.pid))) > 3
    assert_nothing_shared(tree)
    database = str(served.folder / "data")
    for process in tree:
        if process.pid != served.pid:
            assert not [file.path for file in process.open_files() if file.path.startswith(database)]


def test_evicting_a_chat_model_stops_it_and_nothing_else(served: LiveServer) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as open_connection:
        for evicted, asked in ((CHAT, OTHER), (OTHER, CHAT)):
            old = [served.core(), served.core_worker()]
            assert greedy(served, asked) == "The capital of Japan is Tokyo."
            assert served.process.poll() is None
            assert_gone(old)
            states = open_connection.get("/ready").json()["models"]
            assert states[evicted] != "ready"
            assert_nothing_shared(served.processes())


@pytest.mark.parametrize("victim", ["core", "core_worker", "fork_server", VOICE, EAR])
def test_what_is_killed_takes_its_own_along_and_comes_back(served: LiveServer, victim: str) -> None:
    assert greedy(served) == "The capital of Japan is Tokyo."
    served.wait_ready()
    one = served.worker(victim) if victim in (VOICE, EAR) else getattr(served, victim)()
    # A core without its worker can do nothing, and ends too.
    own = [one, *one.children(recursive=True), *([served.core()] if victim == "core_worker" else ())]
    kill(one)
    assert_gone(own)
    until(lambda: answers(served), "the chat model answers again", within=START)
    until(lambda: httpx.get(f"{served.url}/ready", timeout=30).status_code == 200, "all are back", within=START)
    assert served.process.poll() is None


@pytest.mark.parametrize("before", [AS_CUDA, SPAWNED, ()], ids=["forked", "spawned", "copied"])
def test_a_killed_front_end_leaves_nothing_behind(tmp_path: Path, before: tuple[str, ...]) -> None:
    with serving(tmp_path, before) as live:
        live.wait_ready(fresh=True)
        tree = live.processes()
        assert_nothing_shared(tree)
        live.process.kill()
        live.process.wait()
        assert_gone(tree)
        assert_port_free(live.url)


def imports(live: LiveServer) -> bool:
    """Whether the front end is in the midst of its imports."""
    return "libtorch_cpu" in Path(f"/proc/{live.pid}/maps").read_text()


@pytest.mark.parametrize("before", [AS_CUDA, ()], ids=["beside the fork server", "before it is copied"])
def test_a_front_end_killed_in_the_midst_of_imports_leaves_nothing_behind(
    tmp_path: Path, before: tuple[str, ...]
) -> None:
    with serving(tmp_path, before, models=CHAT, announced=False) as live:
        until(lambda: imports(live), "the front end imports", within=START)
        tree = live.processes()
        live.process.kill()
        live.process.wait()
        assert_gone(tree)


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGINT]])
def test_signals_end_it_in_order(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """As Ctrl-C in a terminal does it: to every process of the front end's group."""
    with serving(tmp_path, models=CHAT) as live:
        live.wait_ready(fresh=True)
        tree = live.processes()
        for number in signals:
            if number is signal.SIGINT:
                for one in tree:
                    if lives(one) and os.getpgid(one.pid) == live.pid:
                        one.send_signal(number)
            else:
                live.process.send_signal(number)
        # Two that come at once may be one for the system, or the second may come when all is done.
        assert live.process.wait(30) in ((0,) if len(signals) == 1 else (0, 128 + signal.SIGINT))
        assert_gone(tree)
        assert "Traceback" not in live.log
        # Who is killed removes no shared memory; Python's tracker does it for them, and says so.
        assert len(signals) > 1 or "leak" not in live.log


@pytest.mark.parametrize("before", [AS_CUDA, ()], ids=["started", "copied"])
@pytest.mark.parametrize("moment", ["imports", "fork server", "core"])
def test_ctrl_c_breaks_off_a_load(tmp_path: Path, moment: str, before: tuple[str, ...]) -> None:
    """It comes to the whole group, during the front end's imports, the fork server's, and the load of the core."""
    with serving(tmp_path, before, models=CHAT, announced=False) as live:
        if moment == "imports":
            until(lambda: imports(live), "the front end imports", within=START)
        else:
            [server] = until(live.fork_servers, "the fork server begins", within=START)
            if moment == "core":
                until(server.children, "the core begins", within=START)
        tree = live.processes()
        os.killpg(live.pid, signal.SIGINT)
        assert live.process.wait(30) == 0  # 3 are what is promised; the machine may be busy
        assert_gone(tree)
        assert "Traceback" not in live.log
        assert "KeyboardInterrupt" not in live.log
        assert "leak" not in live.log
