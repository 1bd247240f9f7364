"""Real processes under watch: which are looked at, and which are ended."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from server.engines.pulse import Patience
from server.engines.watch import Watch, descendants, seen

pytestmark = pytest.mark.anyio

QUICK = Patience(stopped=0.04, interval=0.02)


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """Process ids of a shell and of its child, which ends with it at the test's end."""
    with subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        child = int(shell.stdout.readline())
        yield shell.pid, child
        for pid in (shell.pid, child):
            if lives(pid):
                os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    return any(process.state != "Z" for process in seen([pid]).values())


async def hung(watch: Watch) -> None:
    async with asyncio.timeout(20):
        while not watch.hung:
            await asyncio.sleep(0.005)


def test_what_is_seen_of_processes(family: tuple[int, int]) -> None:
    shell, child = family
    assert descendants(shell) == [child]
    assert set(seen([shell, child, 2**22 + 1])) == {shell, child}
    itself = seen([os.getpid()])[os.getpid()]
    assert itself.state in "RS"
    assert itself.seconds == pytest.approx(sum(os.times()[:2]), abs=0.1)


async def test_a_descendant_that_is_stopped_ends_the_whole_tree(
    family: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    shell, child = family
    told = asyncio.Event()
    watch = Watch("tree", lambda: [shell], patience=QUICK, on_hang=told.set)
    watch.start()
    os.kill(child, signal.SIGSTOP)
    await hung(watch)
    await told.wait()
    while lives(shell) or lives(child):
        await asyncio.sleep(0.005)
    assert f"tree hangs: process {child} is stopped. Killing it, with process ids {shell}, {child}" in caplog.text
    await watch.stop()


async def test_a_root_alone_is_ended_without_those_that_it_started(family: tuple[int, int]) -> None:
    shell, child = family
    watch = Watch("server", lambda: [shell], patience=QUICK, alone=True)
    watch.start()
    os.kill(shell, signal.SIGSTOP)
    await hung(watch)
    while lives(shell):
        await asyncio.sleep(0.005)
    assert lives(child)
    await watch.stop()


async def test_a_watch_that_was_stopped_ends_nothing(family: tuple[int, int]) -> None:
    shell, child = family
    watch = Watch("tree", lambda: [shell], patience=QUICK)
    watch.start()
    await watch.stop()
    await watch.stop()
    os.kill(child, signal.SIGSTOP)
    assert lives(shell)
    assert not watch.hung
