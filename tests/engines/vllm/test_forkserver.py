"""How vLLM's processes are started: from the fork server on both kinds of hardware, spawned where that can't be."""

import asyncio
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver as python_forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from server.engines.vllm import forkserver, hardware, libraries, processes
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(processes.METHOD, "")  # so that it is put back
    monkeypatch.delenv(processes.METHOD)
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GOMP_", "OMP_", "LD_PRELOAD"))]:
        monkeypatch.delenv(name)
    forkserver.spawns.cache_clear()
    yield
    forkserver.spawns.cache_clear()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The environments in which fork servers were started."""
    found: list[dict[str, str]] = []
    monkeypatch.setattr(python_forkserver, "ensure_running", lambda: found.append(dict(os.environ)))
    return found


@pytest.fixture
def led(monkeypatch: pytest.MonkeyPatch) -> list[BaseContext]:
    """The contexts that vLLM was given."""
    found: list[BaseContext] = []

    def lead(context_for: Callable[[str | None], Any]) -> None:
        found.append(context_for("fork"))

    monkeypatch.setattr(processes, "lead", lead)
    return found


def probe(*, ends_with: int) -> type:
    """Stands for the process that is forked to see whether CUDA can be used."""

    class Probe:
        exitcode = ends_with

        def __init__(self, **_: object) -> None: ...

        def start(self) -> None: ...

        def join(self) -> None: ...

    return Probe


def on(monkeypatch: pytest.MonkeyPatch, *, cuda: bool) -> None:
    monkeypatch.setattr(hardware, "cuda", lambda: cuda)


def test_a_fork_server_for_a_processor_gets_what_computing_needs(
    begun: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, cuda=False)
    before = dict(os.environ)
    forkserver.start()
    assert begun[0][processes.FRONT_END] == str(os.getpid())
    assert begun[0][processes.WORKER] == "vllm.v1.worker.cpu_worker"
    assert "MALLOC_TRIM_THRESHOLD_" in begun[0]
    assert "libgomp" in begun[0]["LD_PRELOAD"]
    assert dict(os.environ) == before


def test_a_fork_server_for_cuda_gets_none_of_it(begun: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, cuda=True)
    forkserver.start()
    assert begun[0][processes.WORKER] == "vllm.v1.worker.gpu_worker"
    assert not [name for name in begun[0] if name.startswith(("MALLOC_", "LD_PRELOAD"))]


@pytest.mark.parametrize("cuda", [False, True])
def test_the_core_is_forked_from_it(led: list[BaseContext], cuda: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, cuda=cuda)
    monkeypatch.setattr(processes.ServedContext, "Process", probe(ends_with=0))
    forkserver.use()
    assert isinstance(led[0], processes.ServedContext)
    assert os.environ[processes.METHOD] == "fork"


def test_where_a_forked_process_does_not_reach_cuda_the_core_is_spawned(
    led: list[BaseContext], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on(monkeypatch, cuda=True)
    monkeypatch.setattr(processes.ServedContext, "Process", probe(ends_with=1))
    forkserver.use()
    assert isinstance(led[0], processes.SpawnedContext)
    assert os.environ[processes.METHOD] == "spawn"
    assert "can't use CUDA" in caplog.text


@pytest.mark.parametrize("reason", ["wsl", "operator"])
def test_the_operator_and_wsl_have_it_spawned_and_no_fork_server_is_begun(
    begun: list[dict[str, str]], led: list[BaseContext], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, cuda=True)
    if reason == "operator":
        monkeypatch.setenv(processes.METHOD, "spawn")
    else:
        release = platform.uname()._replace(release="5.15.167.4-microsoft-standard-WSL2")
        monkeypatch.setattr(platform, "uname", lambda: release)
    forkserver.start()
    forkserver.use()
    assert begun == []
    assert isinstance(led[0], processes.SpawnedContext)


@pytest.mark.anyio
async def test_a_load_that_is_given_up_ends_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM asks its core every ten seconds whether it is up, and never gives up by itself."""
    begun = threading.Event()
    children: list[Any] = []

    def build(*_: str) -> None:
        for _ in range(2):
            child = processes.SpawnedContext().Process(target=time.sleep, args=(3600,))
            children.append(child)
            child.start()
            begun.set()
            child.join()

    monkeypatch.setattr(forkserver, "start", lambda: None)
    engine = VllmEngine(VllmOptions(name="chat", path=Path("nowhere")))
    monkeypatch.setattr(hardware, "mismatch", lambda: None)
    monkeypatch.setattr(libraries, "load", build)  # the first that is called in the thread of the load
    loading = asyncio.create_task(engine.start())
    await asyncio.to_thread(begun.wait)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    first, second = children
    assert first.exitcode == -signal.SIGKILL
    assert second.pid is None
    assert engine.alive is False
