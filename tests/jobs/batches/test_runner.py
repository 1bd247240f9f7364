"""Lines are begun, tried again, put back and written, whatever the executor answers."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from server.errors import StorageFull
from server.jobs.batches.executor import LineResult, PayerGone
from server.jobs.batches.records import Reason
from server.jobs.batches.runner import CREDITS, LONGEST_WAIT, STORAGE
from server.storage.units import unit
from tests.jobs.batches.harness import Bench, answer, line

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_every_line_is_answered_once(bench: Bench) -> None:
    bench.write(50)
    bench.executor.says = {"7": [answer(400, "bad")], "9": [answer(404, "model_not_found")]}
    runner = await bench.ran()
    assert bench.ids("output") == [f"c{n}" for n in range(1, 51) if n not in (7, 9)]
    assert bench.ids("errors") == ["c7", "c9"]
    assert bench.outcomes == {"completed": 48, "failed": 2}
    assert runner.pause is None
    assert runner.running == 0
    assert {order.endpoint for order in bench.executor.orders} == {"/v1/chat/completions"}
    assert sorted(order.reference for order in bench.executor.orders) == sorted(f"batch_ab-{n}" for n in range(1, 51))
    errors = {row["custom_id"]: row["response"]["status_code"] for row in bench.written("errors")}
    assert errors == {"c7": 400, "c9": 404}


async def test_as_many_are_under_way_as_the_model_works_on_and_a_quarter_more(bench: Bench) -> None:
    bench.places = 8
    bench.write(40)
    bench.executor.gate = asyncio.Event()
    runner = await bench.made()
    running = asyncio.create_task(runner.run())
    await bench.executor.until(10)
    assert runner.running == 10
    bench.executor.gate.set()
    await running
    assert bench.executor.most == 10


async def test_lines_of_several_models_are_under_way_side_by_side(bench: Bench) -> None:
    bench.places = 1
    bench.write([line(f"c{n}", n=n, model="a" if n <= 5 else "b") for n in range(1, 11)])
    bench.executor.gate = asyncio.Event()
    runner = await bench.made()
    running = asyncio.create_task(runner.run())
    await bench.executor.until(4)
    assert runner.running == 4
    bench.executor.gate.set()
    await running
    assert len(bench.ids("output")) == 10


async def test_what_is_done_is_not_begun_again(bench: Bench) -> None:
    bench.write(20)
    bench.executor.says = {"12": [PayerGone("The key was revoked.")]}
    runner = await bench.ran()
    assert runner.gone == "The key was revoked."
    first = bench.ids("output")
    assert "c12" not in first
    assert len(first) < 20
    bench.executor.says = {}
    bench.executor.orders.clear()
    await bench.ran(paid={12})
    assert bench.ids("output") == [f"c{n}" for n in range(1, 21)]
    assert len(bench.executor.orders) == 20 - len(first)
    again = {order.reference: order.paid for order in bench.executor.orders}
    assert again["batch_ab-12.2.1"] is True
    assert [reference for reference, paid in again.items() if paid] == ["batch_ab-12.2.1"]


async def test_without_credits_it_waits_and_one_line_tries_whether_there_are_some(bench: Bench) -> None:
    bench.write(10)
    seen: set[tuple[Reason, str]] = set()

    def look(_: float) -> None:
        assert runner.pause is not None
        seen.add((runner.pause.reason, runner.pause.message))

    bench.clock.on_sleep = look
    poor = answer(402, "insufficient_credits", "Not enough credits.")
    bench.executor.says = {"3": [poor, poor, poor, answer()], "4": [poor, answer()]}
    runner = await bench.made()
    await runner.run()
    assert bench.ids("output") == [f"c{n}" for n in range(1, 11)]
    assert bench.executor.tries["3"] == 4
    assert seen == {(Reason.INSUFFICIENT_CREDITS, "Not enough credits.")}
    assert set(bench.clock.slept) == {CREDITS}
    assert runner.pause is None
    references = [order.reference for order in bench.executor.orders]
    assert len(set(references)) == len(references), "no two tries have one reference"


async def test_resuming_tries_at_once(bench: Bench) -> None:
    bench.write(1)
    bench.executor.says = {"1": [answer(402), answer()]}
    runner = await bench.made()
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    runner._clock = type(runner._clock)(bench.clock.now, sleep)
    running = asyncio.create_task(runner.run())
    await asleep.wait()
    runner.go_on()
    await running
    assert bench.ids("output") == ["c1"]


async def test_a_busy_model_is_left_alone_for_longer_each_time(bench: Bench) -> None:
    bench.write(3)
    busy = answer(503, "server_is_overloaded", retry_after=5.0)
    bench.executor.says = {str(n): [*[busy] * 8, answer()] for n in (1, 2, 3)}
    runner = await bench.ran()
    assert bench.ids("output") == ["c1", "c2", "c3"]
    assert bench.clock.slept[:7] == [5.0, 5.0, 5.0, 8.0, 16.0, 32.0, LONGEST_WAIT]
    assert runner.pause is None


async def test_a_long_retry_after_is_cut(bench: Bench) -> None:
    bench.write(1)
    bench.executor.says = {"1": [answer(429, "rate_limit_exceeded", retry_after=3600.0), answer()]}
    await bench.ran()
    assert bench.clock.slept == [LONGEST_WAIT]


async def test_a_model_that_is_not_there_is_a_pause_and_other_models_go_on(bench: Bench) -> None:
    bench.write([line(f"c{n}", n=n, model="a" if n == 1 else "b") for n in range(1, 6)])
    gone = answer(503, "model_unavailable", "It could not be loaded.")
    tried = asyncio.Event()

    async def once_a_was_tried() -> LineResult:
        await tried.wait()
        return answer()

    bench.executor.says = {"1": [gone, gone, gone, answer()], **{str(n): [once_a_was_tried] for n in range(2, 6)}}
    pauses: list[Reason | None] = []
    runner = await bench.made()

    async def sleep(seconds: float) -> None:
        tried.set()
        while runner.running:
            await asyncio.sleep(0)
        pauses.append(runner.pause and runner.pause.reason)
        await bench.clock.sleep(seconds)

    runner._clock = type(runner._clock)(bench.clock.now, sleep)
    await runner.run()
    assert bench.ids("output") == ["c1", "c2", "c3", "c4", "c5"]
    assert Reason.MODEL_UNAVAILABLE in pauses, "also where it failed while others were under way"
    assert runner.pause is None


async def test_a_line_that_kills_engines_is_tried_among_others_then_alone_then_given_up(bench: Bench) -> None:
    bench.write(20)
    killer, beside = "5", []

    async def kill() -> LineResult:
        beside.append(bench.executor.running - 1)
        return answer(500, "engine_failed", "The engine stopped.")

    bench.executor.says = {killer: [kill]}
    await bench.ran()
    assert bench.ids("output") == [f"c{n}" for n in range(1, 21) if n != 5]
    assert bench.executor.tries[killer] == 6
    assert beside[3:] == [0, 0, 0]
    (row,) = bench.written("errors")
    assert (row["custom_id"], row["response"]["status_code"]) == ("c5", 500)
    assert row["response"]["body"]["error"]["code"] == "engine_failed"


async def test_those_that_died_with_it_are_answered_in_the_end(bench: Bench) -> None:
    bench.write(4)
    died, hung = answer(500, "engine_failed"), answer(503, "engine_hung", retry_after=5.0)
    bench.executor.says = {str(n): [died, hung, died, died, answer()] for n in range(1, 5)}
    await bench.ran()
    assert bench.ids("output") == ["c1", "c2", "c3", "c4"]
    assert bench.clock.slept == [], "an engine that hung is being replaced: leases wait for that"


async def test_an_executor_with_a_bug_fails_its_line_alone(bench: Bench) -> None:
    bench.write(3)
    bench.executor.says = {"2": [RuntimeError("oops")]}
    await bench.ran()
    assert bench.ids("output") == ["c1", "c3"]
    (row,) = bench.written("errors")
    assert row["response"] is None
    assert row["error"] == {"code": "internal_error", "message": "The server failed to run this request."}


async def test_a_stopping_server_leaves_the_rest_for_the_next_one(bench: Bench) -> None:
    bench.write(30)
    bench.executor.says = {"6": [answer(503, "server_shutting_down")]}
    runner = await bench.ran()
    assert runner.pause is None
    assert "c6" not in bench.ids("output") + bench.ids("errors")
    bench.executor.says = {}
    await bench.ran()
    assert bench.ids("output") == [f"c{n}" for n in range(1, 31)]


async def test_stop_ends_what_is_under_way_and_keeps_what_is_done(bench: Bench) -> None:
    bench.write(30)
    bench.executor.gate = asyncio.Event()
    runner = await bench.made()
    running = asyncio.create_task(runner.run())
    await bench.executor.until(5)
    runner.stop()
    await running
    assert sorted(bench.executor.cancelled) == ["1", "2", "3", "4", "5"]
    assert bench.written("output") == []
    assert len(bench.executor.orders) == 5


async def test_a_pause_lets_what_is_under_way_end_and_begins_nothing(bench: Bench) -> None:
    bench.write(30)
    bench.executor.gate = asyncio.Event()
    runner = await bench.made()
    running = asyncio.create_task(runner.run())
    await bench.executor.until(5)
    runner.hold()
    bench.executor.gate.set()
    while runner.running or runner._unwritten:
        await asyncio.sleep(0)
    assert len(bench.executor.orders) == 5
    assert bench.ids("output") == ["c1", "c2", "c3", "c4", "c5"]
    runner.go_on()
    await running
    assert len(bench.ids("output")) == 30


async def test_a_cancelled_runner_writes_what_has_ended(bench: Bench) -> None:
    bench.write(30)
    bench.executor.says = {str(n): [asyncio.Event().wait] for n in range(3, 31)}  # type: ignore[list-item]
    runner = await bench.made()
    running = asyncio.create_task(runner.run())
    await bench.executor.until(7)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert bench.ids("output") == ["c1", "c2"]
    assert len(bench.executor.cancelled) == len(bench.executor.orders) - 2


async def test_a_full_disk_loses_no_line_and_begins_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(20)
    real, full = os.pwrite, [True]

    def pwrite(file: int, data: bytes, place: int) -> int:
        if full[0] and place > 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data, place)

    monkeypatch.setattr(os, "pwrite", pwrite)
    seen: list[tuple[Reason, str, int]] = []

    def look(_: float) -> None:
        assert runner.pause is not None
        # Of those that have begun, some may still be read when the disk is found to be full.
        seen.append((runner.pause.reason, runner.pause.message, len(runner._pending)))
        full[0] = len(seen) < 3

    bench.clock.on_sleep = look
    runner = await bench.made()
    await runner.run()
    assert {reason for reason, _, _ in seen} == {Reason.STORAGE_FULL}
    assert {message for _, message, _ in seen} == {StorageFull().message}
    assert len({waiting for _, _, waiting in seen}) == 1, "nothing is begun while nothing can be written"
    assert bench.clock.slept == [STORAGE] * 3
    assert bench.ids("output") == [f"c{n}" for n in range(1, 21)]
    assert max(bench.executor.tries.values()) == 1
    assert runner.pause is None


async def test_an_input_that_can_t_be_read_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(5)
    real, broken = os.pread, [True]

    def pread(file: int, size: int, place: int) -> bytes:
        if broken[0]:
            raise OSError(errno.EIO, "Input/output error")
        return real(file, size, place)

    monkeypatch.setattr(os, "pread", pread)
    runner = await bench.made()

    def mend(_: float) -> None:
        assert runner.pause is not None
        assert runner.pause.reason is Reason.STORAGE_FULL
        broken[0] = False

    bench.clock.on_sleep = mend
    await runner.run()
    assert bench.ids("output") == ["c1", "c2", "c3", "c4", "c5"]
    assert runner.pause is None


async def test_batches_of_several_accounts_share_a_model(bench: Bench, tmp_path: Path) -> None:
    bench.places = 16
    bench.write(60)
    runners = []
    for number, account in enumerate(("ada", "ada", "bob")):
        other = Bench(tmp_path / str(number), bench.executor, 16)
        other.folder.mkdir()
        other.window = bench.window
        other.write(60)
        runners.append(await other.made(account_id=account))
    bench.executor.gate = asyncio.Event()
    works = [asyncio.create_task(runner.run()) for runner in runners]
    # Each begins when those before it are there already; what these have begun they keep.
    await bench.executor.until(20 + 10 + 10)
    assert [runner.running for runner in runners] == [20, 10, 10]
    runners[1].hold()
    bench.executor.gate.set()
    await asyncio.gather(works[0], works[2])
    runners[1].go_on()
    await works[1]
    assert len(bench.executor.orders) == 180


async def test_an_end_breaks_off_no_unit_of_work(bench: Bench) -> None:
    bench.write(1)
    begun, gate, forever = asyncio.Event(), asyncio.Event(), asyncio.Event()
    written = []

    async def at_work() -> LineResult:
        with unit():
            begun.set()
            await gate.wait()
            written.append("whole")
        await forever.wait()
        return answer()

    bench.executor.says = {"1": [at_work]}
    runner = await bench.made()
    work = asyncio.create_task(runner.run())
    await begun.wait()
    runner.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    gate.set()
    await work
    assert written == ["whole"]
    assert bench.executor.cancelled == ["1"]


async def test_what_is_being_ended_is_not_ended_again(bench: Bench) -> None:
    """It is asked to each second while the batch is being cancelled, and what a line gives back may take longer."""
    bench.write(1)
    begun, closing, gate = asyncio.Event(), asyncio.Event(), asyncio.Event()
    given_back = []

    async def at_work() -> LineResult:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            closing.set()
            await gate.wait()
            given_back.append("hold")
        return answer()

    bench.executor.says = {"1": [at_work]}
    runner = await bench.made()
    work = asyncio.create_task(runner.run())
    await begun.wait()
    runner.stop()
    await closing.wait()
    runner.stop()
    await asyncio.sleep(0)
    gate.set()
    await work
    assert given_back == ["hold"]
