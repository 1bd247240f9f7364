"""Whether others want this process's cores; see server/engines/contention.py."""

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from server.engines import contention
from server.engines.contention import LONGEST_REST, REST, Judge, Waits


def judged(judge: Judge, shares: list[float], begin: float = 0.0, step: float = 0.1) -> list[bool]:
    return [judge.contended(share, begin + number * step) for number, share in enumerate(shares)]


def test_one_bad_look_is_none_and_some_are() -> None:
    assert judged(Judge(), [0.0, 0.6, 0.0, 0.1, 0.3, 0.0]) == [False] * 6
    assert judged(Judge(), [0.0, 0.5, 0.5, 0.5]) == [False, False, True, True]


def test_calm_is_believed_after_a_while_and_later_each_time_that_it_was_short() -> None:
    judge, now = Judge(), 0.0
    rests = []
    for _ in range(7):
        while not judge.contended(0.5, now):
            now += 0.1
        begun = now
        while judge.contended(0.0, now):
            now += 0.1
        rests.append(now - begun)
    assert rests[0] == pytest.approx(REST, abs=0.7)
    assert [round(rest, 1) for rest in rests] == sorted(round(rest, 1) for rest in rests)
    assert rests[-1] == pytest.approx(LONGEST_REST, abs=0.7)
    now += 3 * LONGEST_REST
    while not judge.contended(0.5, now):
        now += 0.1
    begun = now
    while judge.contended(0.0, now):
        now += 0.1
    assert now - begun == pytest.approx(REST, abs=0.7)


def test_calm_that_is_broken_begins_again() -> None:
    judge = Judge()
    judged(judge, [0.5] * 5)
    assert all(judged(judge, [0.0] * 8 + [0.5] * 3 + [0.0] * 8, begin=0.5))


def write(task: Path, text: str) -> None:
    task.mkdir(exist_ok=True)
    (task / "schedstat").write_text(text)


def test_of_the_threads_that_compute_the_one_that_waits_most_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contention, "TASKS", tmp_path)
    used = itertools.count()
    monkeypatch.setattr(contention.time, "process_time", lambda: next(used))
    million = 1_000_000
    for name in ("1", "2", "3"):
        write(tmp_path / name, f"{500 * million} {100 * million} 7\n")
    waits = Waits()
    assert waits.look() is None
    write(tmp_path / "1", f"{580 * million} {120 * million} 9\n")  # 80 ms on a core, 20 waiting for it
    write(tmp_path / "2", f"{590 * million} {110 * million} 9\n")
    write(tmp_path / "3", f"{505 * million} {190 * million} 9\n")  # it hardly computes
    write(tmp_path / "4", f"{90 * million} {90 * million} 9\n")  # it was not there before
    assert waits.look() == pytest.approx(0.2)
    (tmp_path / "3" / "schedstat").unlink()  # a thread that ends while it is looked at
    write(tmp_path / "2", "\n")
    assert waits.look() is None


def test_nothing_is_read_while_the_process_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention.time, "process_time", lambda: 7.0)
    waits = Waits()
    monkeypatch.setattr(contention, "TASKS", tmp_path / "gone")
    assert waits.look() is None
    monkeypatch.setattr(contention.time, "process_time", lambda: 7.1)
    with pytest.raises(OSError, match="gone"):
        waits.look()


@pytest.mark.skipif(not contention.is_told(), reason="this kernel does not count how long threads wait for a core")
def test_a_thread_that_shares_its_core_waits_for_half_of_its_time() -> None:
    core = min(os.sched_getaffinity(0))
    loop = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop, str(core)], stdout=subprocess.PIPE) as neighbour:
        try:
            assert neighbour.stdout is not None
            neighbour.stdout.readline()
            found: list[float | None] = []

            def compute() -> None:
                os.sched_setaffinity(0, {core})  # of this thread alone
                waits = Waits()
                ran = os.times().user
                while os.times().user - ran < 0.3:
                    pass
                found.append(waits.look())

            thread = threading.Thread(target=compute)
            thread.start()
            thread.join()
        finally:
            neighbour.kill()
    assert found[0] is not None
    assert found[0] > contention.TOO_MUCH
