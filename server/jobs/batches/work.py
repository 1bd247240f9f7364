"""One batch's way under one claim: validated, run, and its files made; or put back."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from server.core import Caller
from server.errors import StorageFull
from server.jobs.batches.claims import Claim, Claims, NotOurs, Progress, Standing
from server.jobs.batches.executor import Bills, Executor
from server.jobs.batches.folder import BatchFolder
from server.jobs.batches.gauges import BatchCounts
from server.jobs.batches.input_file import InputFile, Rules, Scan
from server.jobs.batches.journal import EXPIRED, Entry, ForeignJournal, Journal
from server.jobs.batches.records import LineError, Pause, Reason, Status
from server.jobs.batches.runner import STORAGE, Clock, LineRunner, Payer, Tools
from server.jobs.batches.threads import in_thread
from server.jobs.batches.usage import BatchUsage
from server.jobs.batches.window import Window
from server.jobs.files.records import BATCH_OUTPUT, StoredFile
from server.knowledge.payers import Payers
from server.storage.clock import utc_now
from server.storage.database import OUTAGE
from server.storage.units import end

log = logging.getLogger(__name__)

BEAT = 1.0
"""Seconds between two words of how far a batch is."""
AT_ONCE = 500
"""Lines that are written off in one go."""
TOO_LATE = "This request could not be executed before the completion window expired."
DAMAGED = "The server's files of this batch are damaged. Please create it again."
GONE = "The API key that the batch was made with is not valid any more, or its account is closed."
Result = TypeVar("Result")


class Models(Protocol):
    """What there is to run lines on."""

    def model_of(self, endpoint: str, name: str, caller: Caller | None) -> str:
        """The model that a public name means there, for a caller; None is for anybody.

        Raises ModelNotFound, InvalidRequest.
        """
        ...

    def places(self, model: str) -> int:
        """Requests that it works on at once."""
        ...

    def check(self, line: bytes) -> None:
        """Raises InvalidRequest for JSON that has too much in it to be read."""
        ...


class Adopting(Protocol):
    """The part of files by which a batch's become its owner's; see `Files.adopt`."""

    async def adopt(
        self,
        account_id: str,
        path: Path,
        filename: str,
        purpose: str,
        expires_after: timedelta | None,
        *,
        file_id: str | None = None,
    ) -> StoredFile: ...


@dataclass(frozen=True, slots=True)
class WorkTools:
    """What the work is done with. most_lines: of a file; most_file: its bytes; longest_line: bytes of a line."""

    claims: Claims
    files: Adopting
    models: Models
    payers: Payers
    bills: Bills
    executor: Executor
    window: Window
    counts: BatchCounts
    validating: asyncio.Semaphore
    most_lines: int
    most_file: int
    longest_line: int
    clock: Clock
    now: Callable[[], datetime] = utc_now


class Work:
    """Whatever ends it, and wherever: what is done stays done, and whoever takes the batch on next goes on from there.

    Invariant: the folder is this work's, and closed at its end.
    """

    def __init__(self, claim: Claim, folder: BatchFolder, tools: WorkTools) -> None:
        self.claim = claim
        self._folder = folder
        self._tools = tools
        self._journal: Journal | None = None
        self._runner: LineRunner | None = None
        self._step: asyncio.Task[Any] | None = None
        self._called = asyncio.Event()
        self._shown: Pause | None = None
        self._pause: Pause | None = None
        self._gone: str | None = None
        self._stopping = self._lost = False
        self._cancelling = claim.status is Status.CANCELLING
        self._expired = claim.expires_at <= tools.now()

    @property
    def active(self) -> bool:
        """Whether lines of it may be begun."""
        return self._runner is None or self._runner.pause is None

    @property
    def running(self) -> int:
        """Lines under way."""
        return 0 if self._runner is None else self._runner.running

    def call(self) -> None:
        """Its owner has asked for something: it is looked at now."""
        self._called.set()

    def stop(self) -> None:
        """The process ends: put the batch back."""
        self._stopping = True
        self._interrupt()

    async def run(self) -> None:
        """Raises nothing but NotOurs, OUTAGE and bugs."""
        beating = asyncio.create_task(self._keep_telling())
        try:
            await self._work()
        except Interrupted:
            await self._break_off()
        except ForeignJournal:
            await self._end(Status.FAILED, [LineError("files_damaged", DAMAGED)])
        finally:
            end(beating)
            await asyncio.wait([beating])
            if self._journal is not None:
                self._journal.close()
            self._folder.close()

    # ------------------------------------------------------------ its way

    async def _work(self) -> None:
        claim, tools = self.claim, self._tools
        caller = None if claim.key_id is None else await tools.payers.caller(claim.key_id)
        gone = caller is None and claim.key_id is not None and claim.status is not Status.CANCELLING
        # Once one of its files is its owner's, nothing more is written to it.
        if gone or claim.status is Status.FINALIZING:
            self._journal = await self._opened()
            if not claim.total or self._journal.done < claim.total:
                self._gone = GONE
            await self._finish()
            return
        async with tools.validating:
            source = await self._look_through(caller)
        if source is None:
            return
        with source:
            if claim.status is Status.VALIDATING and not self._cancelling:
                name = next(iter(source.names)) if len(source.names) == 1 else None
                status = await tools.claims.begin(claim, source.total, name)
                self._cancelling = status is Status.CANCELLING
            self._journal = await self._opened()
            if not self._cancelling and not self._expired:
                await self._run(source)
            if self._expired and not self._cancelling:
                await self._write_off(source)
        await self._finish()

    async def _look_through(self, caller: Caller | None) -> InputFile | None:
        """None where it is not in order, and has failed for that."""
        claim, tools = self.claim, self._tools
        known = claim.status is not Status.VALIDATING
        errors = []
        source = None
        size = self._folder.input.stat().st_size
        if size > tools.most_file and not known:
            errors = [LineError("file_too_large", f"The input file has more than {tools.most_file:,} bytes.")]
        else:
            rules = Rules(
                endpoint=claim.endpoint,
                model_of=partial(tools.models.model_of, caller=caller),
                # What was in order once is not held against limits that may have been lowered since.
                check=_all_right if known else tools.models.check,
                most_lines=tools.most_lines,
                longest=size if known else tools.longest_line,
            )
            scan = Scan(self._folder.input, rules, known=known)
            source = await self._interruptible(scan.run())
            errors = scan.errors
        if not errors or known:
            return source
        if source is not None:
            source.close()
        await self._end(Status.FAILED, errors)
        return None

    async def _opened(self) -> Journal:
        name = self.claim.id.removeprefix("batch_")
        return await in_thread(Journal, self._folder.output, self._folder.errors, name)

    async def _run(self, source: InputFile) -> None:
        """Raises Interrupted."""
        claim, tools = self.claim, self._tools
        assert self._journal is not None
        if self._journal.done >= source.total:
            return
        # Under an earlier claim a line may have been paid whose answer was not written.
        paid = await tools.bills.settled(claim.id) if claim.number > 1 else frozenset()
        payer = Payer(claim.id, claim.account_id, claim.key_id, claim.number, paid)
        line_tools = Tools(tools.executor, tools.window, tools.clock, tools.counts.line)
        self._runner = LineRunner(source, self._journal, payer, line_tools)
        if self._stopping:
            raise Interrupted
        await self.tell()  # it may have been paused or cancelled before anything of it was begun
        await self._runner.run()
        if self._cancelling or self._expired or self._journal.done >= source.total:
            return
        if self._runner.gone is None or self._lost or self._stopping:
            raise Interrupted
        self._gone = self._runner.gone

    async def _write_off(self, source: InputFile) -> None:
        """Lines that have no answer get none any more."""
        journal = self._journal
        assert journal is not None

        def write(lines: list[int]) -> None:
            journal.write([Entry(line, source.custom_id(line), None, (EXPIRED, TOO_LATE)) for line in lines])

        left = [line for line, _ in source.requests() if line not in journal]
        for start in range(0, len(left), AT_ONCE):
            await self._with_room(partial(in_thread, write, left[start : start + AT_ONCE]))

    # ------------------------------------------------------------ its end

    async def _finish(self) -> None:
        """Make files of what there is, then say that it is done, then delete the folder. Each step may be repeated."""
        claim, tools, journal = self.claim, self._tools, self._journal
        assert journal is not None
        await self._with_room(partial(in_thread, journal.sync))
        output_id, errors_id, status = await tools.claims.finalize(claim)
        made: list[str | None] = []
        for count, path, what, file_id in (
            (journal.completed, self._folder.output, "output", output_id),
            (journal.failed, self._folder.errors, "error", errors_id),
        ):
            made.append(file_id if count else None)
            if count:
                await self._with_room(partial(self._adopt, path, f"{claim.id}_{what}.jsonl", file_id))
        errors: list[LineError] = []
        last = Status.COMPLETED
        if status is Status.CANCELLING:
            last = Status.CANCELLED
        elif journal.expired:
            last = Status.EXPIRED
        elif self._gone is not None:
            last, errors = Status.FAILED, [LineError("invalid_api_key", self._gone)]
        await self._end(last, errors, *made)

    async def _adopt(self, path: Path, filename: str, file_id: str) -> None:
        claim, tools = self.claim, self._tools
        kept = None if claim.output_seconds is None else timedelta(seconds=claim.output_seconds)
        await tools.files.adopt(claim.account_id, path, filename, BATCH_OUTPUT, kept, file_id=file_id)

    async def _end(
        self, status: Status, errors: Sequence[LineError], output: str | None = None, error: str | None = None
    ) -> None:
        """output, error: ids of the files that there are."""
        claims, progress = self._tools.claims, self._progress()
        last = await claims.end(self.claim, status, progress, output_file_id=output, error_file_id=error, errors=errors)
        log.info("batch %s: %s", self.claim.id, last)
        self._tools.counts.ended(last)
        await in_thread(self._folder.remove)

    async def _break_off(self) -> None:
        if not self._lost:
            await self._tools.claims.put_back(self.claim, self._progress())

    # ------------------------------------------------------------ while it goes on

    async def _with_room(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it, again and again while there is no room on the disk. Raises Interrupted, and what it raises."""
        while True:
            try:
                await act()
            except StorageFull as error:
                self._pause = Pause(Reason.STORAGE_FULL, error.message)
                await self._interruptible(slept(self._tools.clock, STORAGE))
            else:
                self._pause = None
                return

    async def _interruptible(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Raises Interrupted where it was ended."""
        if self._stopping or self._lost:
            work.close()
            raise Interrupted
        self._step = asyncio.create_task(work)
        try:
            await asyncio.wait([self._step])
            if self._step.cancelled():
                raise Interrupted
            result: Result = self._step.result()
            return result
        except asyncio.CancelledError:
            self._step.cancel()
            await asyncio.wait([self._step])
            raise
        finally:
            self._step = None

    def _interrupt(self) -> None:
        if self._runner is not None:
            self._runner.stop()
        if self._step is not None:
            self._step.cancel()

    def _progress(self) -> Progress | None:
        if self._journal is None:
            return None
        pause = self._pause or (None if self._runner is None else self._runner.pause)
        return Progress(self._journal.completed, self._journal.failed, self._journal.usage.row(), pause)

    async def _keep_telling(self) -> None:
        while True:
            waiting = [asyncio.create_task(self._called.wait()), asyncio.create_task(slept(self._tools.clock, BEAT))]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()
            self._called.clear()
            try:
                await self.tell()
            except NotOurs:
                self._lost = True
                self._interrupt()
                return
            except OUTAGE as error:
                log.warning("how far batch %s is can't be written: %s", self.claim.id, error)

    async def tell(self) -> None:
        """Write how far it is, and obey. Raises NotOurs, OUTAGE."""
        progress = self._progress() or Progress(0, 0, BatchUsage().row(), None)
        standing = await self._tools.claims.beat(self.claim, progress, self._shown)
        self._shown = None if standing.held or standing.resumed else progress.pause
        self._obey(standing)

    def _obey(self, standing: Standing) -> None:
        if standing.status is Status.CANCELLING:
            self._cancelling = True
        self._expired = self._expired or standing.expired
        runner = self._runner
        if runner is None:
            return
        if self._cancelling or self._expired:
            runner.stop()
        elif standing.held:
            runner.hold()
            if not runner.running:
                runner.stop()  # nobody needs to hold it until it goes on
        elif standing.resumed or runner.held:
            runner.go_on()


class Interrupted(Exception):
    """The process ends, or the batch rests or is another's now."""


def _all_right(_: bytes) -> None:
    pass


async def slept(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
