"""A batch from its making to its files, on both databases."""

import asyncio
from datetime import timedelta

import pytest

from server.errors import InvalidRequest, NotFound, PayloadTooLarge, RateLimited
from server.jobs.batches import background
from server.jobs.batches.executor import LineResult
from server.jobs.batches.records import Reason, Status
from server.jobs.batches.runner import CREDITS
from server.jobs.files.records import BATCH_OUTPUT
from tests.jobs.batches.harness import CHAT, answer, line, lines_of
from tests.jobs.batches.installation import ADA, BEGIN, BOB, Installation

pytestmark = pytest.mark.anyio


def ids(*numbers: int) -> list[str]:
    return [f"c{n}" for n in numbers]


async def test_a_batch_is_run_and_its_answers_become_files(installation: Installation) -> None:
    process = await installation.process()
    installation.executor.says = {"3": [answer(400, "invalid_value", "Wrong.")]}
    batch = await installation.made(process, 10, metadata={"team": "red"})
    assert (batch.status, batch.total, batch.created_at, batch.expires_at) == (
        Status.VALIDATING,
        0,
        BEGIN,
        BEGIN + timedelta(hours=24),
    )
    await process.work_off()
    done = await installation.is_done(batch)
    assert await installation.answers(batch) == (ids(1, 2, 4, 5, 6, 7, 8, 9, 10), ids(3))
    assert (done.model, done.metadata, done.errors) == ("m", {"team": "red"}, [])
    assert (done.in_progress_at, done.finalizing_at, done.completed_at) == (BEGIN, BEGIN, BEGIN)
    assert (done.failed_at, done.expired_at, done.cancelling_at, done.cancelled_at) == (None, None, None, None)
    assert done.output_file_id is not None
    file = await installation.files.open(ADA.account_id, done.output_file_id)
    assert (file.purpose, file.filename, file.expires_at) == (BATCH_OUTPUT, f"{batch.id}_output.jsonl", None)
    with pytest.raises(NotFound):
        await installation.files.open(BOB.account_id, done.output_file_id)
    first = (await installation.rows(done.output_file_id))[0]
    assert first["id"].startswith(f"batch_req_{batch.id.removeprefix('batch_')}_")


async def test_without_errors_there_is_no_file_of_them_and_files_expire_as_asked(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 2, output_seconds=3600)
    installation.later(minutes=5)
    await process.work_off()
    done = await installation.is_done(batch, count=2)
    assert done.error_file_id is None
    assert done.output_file_id is not None
    file = await installation.files.open(ADA.account_id, done.output_file_id)
    assert file.expires_at == BEGIN + timedelta(minutes=65)


async def test_what_its_answers_used_is_added_up(installation: Installation) -> None:
    process = await installation.process()
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "credits": 0.25}
    installation.executor.says = {str(n): [answer(body={"usage": usage})] for n in range(1, 4)}
    batch = await installation.made(process, 3)
    await process.work_off()
    done = await installation.found(batch)
    assert done.usage is not None
    assert (done.usage["input_tokens"], done.usage["total_tokens"], done.usage["credits"]) == (9, 15, "0.75")


async def test_a_file_that_is_wrong_fails_with_its_lines(installation: Installation) -> None:
    process = await installation.process()
    data = lines_of(line("c1"), b"nonsense", line("c1"), line("c4", model="unknown"), line("c5", model="secret"))
    batch = await installation.made(process, data)
    await process.work_off()
    failed = await installation.found(batch)
    assert (failed.status, failed.failed_at, failed.output_file_id, failed.total) == (Status.FAILED, BEGIN, None, 0)
    assert [(error.line, error.code, error.param) for error in failed.errors] == [
        (2, "invalid_json_line", None),
        (3, "duplicate_custom_id", "custom_id"),
        (4, "model_not_found", "body.model"),
        (5, "model_not_found", "body.model"),
    ]
    assert installation.executor.orders == []
    assert list((installation.data_dir / "batches").iterdir()) == []


async def test_a_file_that_is_too_large_fails(installation: Installation) -> None:
    installation.limits["most_file"] = 100
    process = await installation.process()
    batch = await installation.made(process, 10)
    await process.work_off()
    failed = await installation.found(batch)
    assert [(error.line, error.code) for error in failed.errors] == [(None, "file_too_large")]


async def test_the_input_file_may_be_deleted_once_the_batch_is_made(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 10)
    await installation.files.delete(ADA.account_id, batch.input_file_id)
    await process.work_off()
    await installation.is_done(batch)


async def test_what_can_t_be_made(installation: Installation) -> None:
    installation.most = 2
    process = await installation.process()
    create = process.batches.create
    with pytest.raises(NotFound) as no_file:
        await create(ADA, "file-" + "0" * 32, CHAT, "24h")
    assert no_file.value.param == "input_file_id"
    his = await installation.upload(b"{}", BOB)
    with pytest.raises(NotFound) as not_his:
        await create(ADA, his, CHAT, "24h")
    assert not_his.value.message.replace(his, "") == no_file.value.message.replace("file-" + "0" * 32, "")
    picture = await installation.upload(b"{}", purpose="vision")
    with pytest.raises(InvalidRequest) as purpose:
        await create(ADA, picture, CHAT, "24h")
    assert purpose.value.param == "input_file_id"
    file = await installation.upload(lines_of(line("c1")))
    for window in ("", "0h", "24", "15d", "337h", "1w", "24h ", "999999d"):
        with pytest.raises(InvalidRequest) as wrong:
            await create(ADA, file, CHAT, window)
        assert wrong.value.param == "completion_window"
    assert (await create(ADA, file, CHAT, "14d")).expires_at == BEGIN + timedelta(days=14)
    await create(ADA, file, CHAT, "1h")
    with pytest.raises(RateLimited):
        await create(ADA, file, CHAT, "1h")
    assert len(list((installation.data_dir / "batches").iterdir())) == 2
    await installation.made(process, 1, BOB)


async def test_others_batches_are_as_good_as_nothing(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 1)
    said = set()
    for batch_id in (batch.id, "batch_" + "0" * 32, "../etc", "batch_\0"):
        for act in (process.batches.find, process.batches.cancel, process.batches.pause, process.batches.resume):
            with pytest.raises(NotFound) as refused:
                await act(BOB.account_id, batch_id)
            said.add(refused.value.message.replace(batch_id, "ID"))
        with pytest.raises(NotFound):
            await process.batches.page(BOB.account_id, 20, batch_id)
    assert said == {"No batch found with id 'ID'."}
    assert (await installation.found(batch)).paused is None
    assert await process.batches.page(BOB.account_id, 20) == []


async def test_pages_begin_with_the_newest(installation: Installation) -> None:
    process = await installation.process()
    made = [await installation.made(process, 1) for _ in range(3)]
    await installation.made(process, 1, BOB)
    page = await process.batches.page(ADA.account_id, 2)
    assert [one.id for one in page] == [made[2].id, made[1].id]
    assert [one.id for one in await process.batches.page(ADA.account_id, 2, page[-1].id)] == [made[0].id]


# ---------------------------------------------------------------- cancelled, paused, expired


async def test_cancelling_ends_what_is_under_way_and_keeps_what_is_done(installation: Installation) -> None:
    process = await installation.process()
    forever = asyncio.Event().wait
    installation.executor.says = {str(n): [forever] for n in range(4, 11)}  # type: ignore[list-item]
    batch = await installation.made(process, 10)
    work = await process.begin()
    await installation.executor.until(8)
    cancelled = await process.batches.cancel(ADA.account_id, batch.id)
    assert (cancelled.status, cancelled.cancelling_at) == (Status.CANCELLING, BEGIN)
    await process.ended()
    done = await installation.found(batch)
    assert (done.status, done.cancelled_at, done.total, done.completed, done.failed) == (
        Status.CANCELLED,
        BEGIN,
        10,
        3,
        0,
    )
    assert await installation.answers(batch) == (ids(1, 2, 3), [])
    assert sorted(installation.executor.cancelled) == ["4", "5", "6", "7", "8"]
    assert work.running == 0
    assert (await process.batches.cancel(ADA.account_id, batch.id)).status is Status.CANCELLED
    for act in (process.batches.pause, process.batches.resume):
        with pytest.raises(InvalidRequest, match="with status 'cancelled'"):
            await act(ADA.account_id, batch.id)


async def test_one_that_nobody_has_begun_is_cancelled(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 10)
    await process.batches.cancel(ADA.account_id, batch.id)
    await process.work_off()
    done = await installation.found(batch)
    assert (done.status, done.completed, done.output_file_id) == (Status.CANCELLED, 0, None)
    assert installation.executor.orders == []


async def test_a_wrong_file_of_a_cancelled_batch_is_cancelled_all_the_same(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, b"nonsense\n")
    await process.batches.cancel(ADA.account_id, batch.id)
    await process.work_off()
    assert (await installation.found(batch)).status is Status.CANCELLED


async def test_a_completed_batch_can_t_be_cancelled(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 1)
    await process.work_off()
    with pytest.raises(InvalidRequest, match="Cannot cancel a batch with status 'completed'"):
        await process.batches.cancel(ADA.account_id, batch.id)


async def test_a_pause_lets_go_of_the_batch_and_resuming_takes_it_up(installation: Installation) -> None:
    process = await installation.process()
    gate = installation.executor.gate = asyncio.Event()
    batch = await installation.made(process, 10)
    await process.begin()
    await installation.executor.until(5)
    paused = await process.batches.pause(ADA.account_id, batch.id)
    assert paused.status is Status.IN_PROGRESS
    assert paused.paused is not None
    assert (paused.paused.reason, paused.paused_at) == (Reason.USER, BEGIN)
    installation.later(seconds=5)
    again = await process.batches.pause(ADA.account_id, batch.id)
    assert again.paused_at == BEGIN, "it is paused since then"
    while installation.executor.running == 5 and not process.background.under_way[batch.id][0]._runner._held:  # type: ignore[union-attr]
        await asyncio.sleep(0)
    gate.set()
    while installation.executor.running:
        await asyncio.sleep(0)
    work = next(iter(process.background.under_way.values()))[0]
    work.call()
    await process.ended()
    await process.work_off()
    rests = await installation.found(batch)
    assert (rests.status, rests.completed) == (Status.IN_PROGRESS, 5)
    assert len(installation.executor.orders) == 5
    await process.batches.resume(ADA.account_id, batch.id)
    await process.work_off()
    await installation.is_done(batch)
    assert len(installation.executor.orders) == 10


async def test_one_that_is_resumed_while_its_lines_still_run_goes_on(installation: Installation) -> None:
    """The process that works on it has seen the pause, and has not let go of it."""
    process = await installation.process()
    gate = installation.executor.gate = asyncio.Event()
    batch = await installation.made(process, 10)
    work = await process.begin()
    await installation.executor.until(5)
    await process.batches.pause(ADA.account_id, batch.id)
    await work.tell()
    await process.batches.resume(ADA.account_id, batch.id)
    await work.tell()
    gate.set()
    async with asyncio.timeout(10):
        await process.ended()
    await installation.is_done(batch)


async def test_one_that_is_paused_before_it_is_begun_begins_nothing(installation: Installation) -> None:
    process = await installation.process()
    batch = await installation.made(process, 10)
    await process.batches.pause(ADA.account_id, batch.id)
    await process.work_off()
    found = await installation.found(batch)
    assert (found.status, found.total) == (Status.IN_PROGRESS, 10)
    assert found.paused is not None
    assert installation.executor.orders == []
    await process.batches.resume(ADA.account_id, batch.id)
    await process.work_off()
    await installation.is_done(batch)


async def test_without_credits_it_says_so_and_goes_on_after_a_grant(installation: Installation) -> None:
    process = await installation.process()
    poor = answer(402, "insufficient_credits", "Not enough credits.")
    installation.executor.says = {str(n): [poor] for n in range(6, 11)}
    batch = await installation.made(process, 10)
    work = await process.begin()
    while work._runner is None or work._runner.pause is None or work.running:
        await asyncio.sleep(0)
    await work.tell()
    paused = await installation.found(batch)
    assert paused.status is Status.IN_PROGRESS
    assert paused.paused is not None
    assert (paused.paused.reason, paused.paused.message) == (Reason.INSUFFICIENT_CREDITS, "Not enough credits.")
    assert paused.paused_at == BEGIN
    assert paused.failed == 0
    installation.later(minutes=1)
    await work.tell()
    assert (await installation.found(batch)).paused_at == BEGIN, "it has been so since then"
    installation.executor.says = {}
    installation.clock.advance(CREDITS)
    await process.ended()
    await installation.is_done(batch)


async def test_resuming_one_without_credits_tries_at_once(installation: Installation) -> None:
    process = await installation.process()
    installation.executor.says = {str(n): [answer(402), answer()] for n in range(1, 11)}
    batch = await installation.made(process, 10)
    work = await process.begin()
    while work._runner is None or work._runner.pause is None or work.running:
        await asyncio.sleep(0)
    await work.tell()
    installation.executor.says = {}
    await process.batches.resume(ADA.account_id, batch.id)
    await process.ended()
    await installation.is_done(batch)


async def test_a_key_that_is_revoked_ends_the_batch_and_what_is_done_is_kept(installation: Installation) -> None:
    from server.jobs.batches.executor import PayerGone

    process = await installation.process()
    installation.executor.says = {"6": [PayerGone("The key was revoked.")]}
    batch = await installation.made(process, 10)
    await process.work_off()
    failed = await installation.found(batch)
    assert failed.status is Status.FAILED
    assert [(error.code, error.message) for error in failed.errors] == [("invalid_api_key", "The key was revoked.")]
    output, errors = await installation.answers(batch)
    assert set(ids(1, 2, 3, 4, 5)) <= set(output)
    assert "c6" not in output + errors
    assert failed.completed == len(output)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_key_that_is_gone_when_it_is_taken_on_fails_it(installation: Installation, begun: bool) -> None:
    process = await installation.process()
    batch = await installation.made(process, 10)
    if begun:
        installation.executor.says = {"6": [answer(503, "server_shutting_down")]}
        work = await process.begin()
        await process.ended()
        assert work.claim.number == 1
    del installation.callers[ADA.key_id]
    await process.work_off()
    failed = await installation.found(batch)
    assert failed.status is Status.FAILED
    assert [error.code for error in failed.errors] == ["invalid_api_key"]
    assert (failed.output_file_id is not None) is begun
    assert list((installation.data_dir / "batches").iterdir()) == []


async def test_at_its_end_what_has_no_answer_expires(installation: Installation) -> None:
    process = await installation.process()
    forever = asyncio.Event().wait
    installation.executor.says = {str(n): [forever] for n in range(4, 11)}  # type: ignore[list-item]
    batch = await installation.made(process, 10, window="1h")
    work = await process.begin()
    await installation.executor.until(8)
    installation.later(hours=1)
    work.call()
    await process.ended()
    done = await installation.is_done(batch, Status.EXPIRED)
    assert done.expired_at == BEGIN + timedelta(hours=1)
    assert await installation.answers(batch) == (ids(1, 2, 3), ids(4, 5, 6, 7, 8, 9, 10))
    assert done.error_file_id is not None
    row = (await installation.rows(done.error_file_id))[0]
    assert row["response"] is None
    assert row["error"] == {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }


async def test_one_that_nobody_began_in_time_and_one_that_rests_expire(installation: Installation) -> None:
    process = await installation.process()
    late = await installation.made(process, 10, window="1h")
    installation.later(hours=2)
    await process.work_off()
    await installation.is_done(late, Status.EXPIRED)
    resting = await installation.made(process, 10, window="1h")
    await process.batches.pause(ADA.account_id, resting.id)
    await process.work_off()
    installation.later(hours=2)
    await process.work_off()
    await installation.is_done(resting, Status.EXPIRED)
    assert installation.executor.orders == []


async def test_how_far_it_is_is_written_on_the_way(installation: Installation) -> None:
    process = await installation.process()
    forever = asyncio.Event().wait
    installation.executor.says = {str(n): [forever] for n in range(4, 11)}  # type: ignore[list-item]
    batch = await installation.made(process, 10)
    await process.begin()
    await installation.executor.until(8)
    assert (await installation.found(batch)).status is Status.IN_PROGRESS
    while (await installation.found(batch)).completed < 3:
        installation.clock.advance(1)
        await asyncio.sleep(0)
    found = await installation.found(batch)
    assert (found.total, found.completed, found.failed, found.output_file_id) == (10, 3, 0, None)
    await process.background.begin()
    counts = {sample.name: sample.value for metric in process.tools.counts.collect() for sample in metric.samples}
    assert counts["sagehold_batches_running"] == 1
    assert counts["sagehold_batch_lines_running"] == 5
    assert counts["sagehold_batch_lines_total"] == 3


async def test_one_that_is_resumed_before_it_has_let_go_goes_on(installation: Installation) -> None:
    process = await installation.process()
    gate = installation.executor.gate = asyncio.Event()
    batch = await installation.made(process, 10)
    work = await process.begin()
    await installation.executor.until(5)
    await process.batches.pause(ADA.account_id, batch.id)
    await work.tell()
    await process.batches.resume(ADA.account_id, batch.id)
    await work.tell()
    gate.set()
    await process.ended()
    await installation.is_done(batch)
    assert work.claim.number == 1


async def test_one_that_is_under_way_keeps_its_lines_when_limits_are_lowered(installation: Installation) -> None:
    process = await installation.process()
    installation.executor.says = {"6": [answer(503, "server_shutting_down"), answer()]}
    batch = await installation.made(process, 10)
    await process.begin()
    await process.ended()
    assert (await installation.found(batch)).status is Status.IN_PROGRESS
    installation.limits = {"most_lines": 2, "most_file": 10, "longest_line": 10}
    await (await installation.process()).work_off()
    await installation.is_done(batch)


async def test_without_room_for_files_none_is_begun(installation: Installation) -> None:
    """The files with its answers are kept whether there is room or not: so there must be some before."""
    process = await installation.process()
    file_id = await installation.upload(lines_of(line("c1")))
    installation.files._max_account_files = 10
    with pytest.raises(PayloadTooLarge, match="more than it may keep"):
        await process.batches.create(ADA, file_id, CHAT, "24h")
    assert await process.batches.page(ADA.account_id, 10) == []
    installation.files._max_account_files = 10**6
    await process.batches.create(ADA, file_id, CHAT, "24h")


async def test_the_end_does_not_wait_for_a_line_that_does_not_end(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LEAVE", 0.01)
    process = await installation.process()
    begun, gate = asyncio.Event(), asyncio.Event()

    async def hangs() -> LineResult:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()
        return answer()

    installation.executor.says = {"3": [hangs]}
    await installation.made(process, 10)
    await process.begin()
    async with asyncio.timeout(10):
        await begun.wait()
        await process.end()
    assert len(process.background.under_way) == 1
    gate.set()
    await process.ended()
