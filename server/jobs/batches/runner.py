"""Runs the lines of one input file until each is done: begins, waits, tries again, writes down. Knows no database."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import to_thread

from server.errors import StorageFull
from server.jobs.batches.executor import Executor, LineResult, Order, PayerGone, reference_of
from server.jobs.batches.input_file import InputFile
from server.jobs.batches.journal import Entry, Journal
from server.jobs.batches.pending import Pending
from server.jobs.batches.records import Pause, Reason
from server.jobs.batches.threads import in_thread
from server.jobs.batches.verdict import Verdict, error_of, verdict_on
from server.jobs.batches.window import Window
from server.storage.units import end

log = logging.getLogger(__name__)

CREDITS = 15.0
"""Seconds between two looks whether there are credits again."""
STORAGE = 5.0
"""Seconds between two tries to write down what found no room."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before a model is tried again that was busy or not there; each time twice as many."""


@dataclass(frozen=True, slots=True)
class Clock:
    """now: seconds, by any clock that only goes forward."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Payer:
    """name: of the batch, by which the ledger's references begin. claim: how often it has been taken on, from 1.

    paid: numbers of lines that were paid under an earlier claim, and whose answers may be lost.
    """

    name: str
    account_id: str
    key_id: str | None
    claim: int = 1
    paid: Collection[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Tools:
    executor: Executor
    window: Window
    clock: Clock = Clock()
    ended: Callable[[str], None] = lambda outcome: None  # noqa: ARG005 - nobody counts
    """Is told of each line's end: `completed` or `failed`."""


class LineRunner:
    """Invariant: a line is in exactly one of these states: waiting, under way, ended but not written, written.

    pause: why nothing is begun just now; None while lines are. gone: why nothing more is ever begun, where the payer is
    gone. It goes on by itself after any pause.
    """

    def __init__(self, source: InputFile, journal: Journal, payer: Payer, tools: Tools) -> None:
        self._source = source
        self._journal = journal
        self._payer = payer
        self._tools = tools
        self._clock = tools.clock
        self._pending = Pending((line, model) for line, model in source.requests() if line not in journal)
        self._under_way: dict[int, asyncio.Task[Entry]] = {}
        self._unwritten: dict[int, Entry] = {}
        self._tries: dict[int, int] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._held = False
        self._later: dict[str, float] = {}
        self._waits: dict[str, float] = {}
        self._absent: dict[str, str] = {}
        self._pay_again: float | None = None
        self._trial: int | None = None
        self._storage_again: float | None = None
        self._alone: int | None = None
        self.pause: Pause | None = None
        self.gone: str | None = None
        self._share = tools.window.share(payer.account_id, self._wake.set)

    # ------------------------------------------------------------ for others

    @property
    def running(self) -> int:
        """Lines under way."""
        return len(self._under_way)

    @property
    def held(self) -> bool:
        """Whether nothing is begun until `go_on`."""
        return self._held

    def hold(self) -> None:
        """Begin nothing until `go_on`; what is under way goes on to its end."""
        self._held = True
        self._wake.set()

    def go_on(self) -> None:
        """Begin lines again, and at once, whatever is waited for."""
        self._held = False
        self._later.clear()
        if self._pay_again is not None:
            self._pay_again = self._clock.now()
        self._clear(Reason.INSUFFICIENT_CREDITS)
        self._clear(Reason.MODEL_UNAVAILABLE)
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more, and end what is under way within a step; `run` returns then. The second time changes
        nothing."""
        self._stopping = True
        for task in self._under_way.values():
            if not task.cancelling():  # a second cancellation would break off what the first one has to give back
                end(task)
        self._wake.set()

    async def run(self) -> None:
        """Returns when every line is written, or `stop` was called, or the payer is gone, or the server ends; whatever
        has ended is written then, unless there is no room for it. What was not is begun anew by whoever runs it next.
        """
        with self._share as share:
            try:
                while not self._over:
                    self._wake.clear()
                    share.wanted = [] if self._held or self.pause else self._pending.models
                    self._begin()
                    self._look_for_models()
                    await self._wait()
                    await self._write()
            finally:
                with anyio.CancelScope(shield=True):
                    self.stop()
                    if self._under_way:
                        await asyncio.wait(self._under_way.values())
                        await asyncio.sleep(0)  # their ends are taken note of
                    self._storage_again = None
                    await self._write()

    # ------------------------------------------------------------ beginning

    @property
    def _over(self) -> bool:
        done = not self._pending and not self._unwritten
        return not self._under_way and (self._stopping or self.gone is not None or done)

    def _begin(self) -> None:
        if self._stopping or self._held or self.gone is not None or self._storage_again is not None:
            return
        if self._alone is not None and self._under_way:
            return
        now = self._clock.now()
        self._later = {model: time for model, time in self._later.items() if time > now}
        if self._pay_again is not None:
            if self._trial is None and now >= self._pay_again:
                self._trial = self._begin_one(lambda model, _: model not in self._later)
            return
        while self._begin_one(self._room) is not None:
            pass

    def _begin_one(self, room: Callable[[str, int], bool]) -> int | None:
        """Its number; None where there is none for which there is room."""
        line = self._pending.take(room)
        if line is None and not self._under_way:
            line = self._alone = self._pending.alone()
            if line is None or not room(self._source.model(line), line):
                self._alone = None
                return None
            self._pending.take_alone()
        if line is None:
            return None
        model, size = self._source.model(line), self._source.size(line)
        self._share.begin(model, size)
        self._tries[line] = self._tries.get(line, 0) + 1
        task = asyncio.create_task(self._run(line), name=f"{self._payer.name}, line {line}")
        self._under_way[line] = task
        task.add_done_callback(partial(self._ended, line, model, size))
        return line

    def _room(self, model: str, line: int) -> bool:
        if model in self._later:
            return False
        # One that was busy or not there is asked by one line at first.
        if model in self._waits and self._share.under_way(model):
            return False
        return self._share.room(model, self._source.size(line))

    async def _run(self, line: int) -> Entry:
        """Its answer, which may be no final one. Raises PayerGone, OSError."""
        request = await to_thread.run_sync(self._source.read, line)
        payer = self._payer
        order = Order(
            account_id=payer.account_id,
            key_id=payer.key_id,
            endpoint=request.endpoint,
            body=request.body,
            reference=reference_of(payer.name, line, payer.claim, self._tries[line]),
            paid=line in payer.paid,
        )
        try:
            result = await self._tools.executor.run(order)
        except PayerGone:
            raise
        except Exception:
            log.exception("%s, line %d: a bug", self._payer.name, line)
            return Entry(line, request.custom_id, None, ("internal_error", "The server failed to run this request."))
        return Entry(line, request.custom_id, result)

    # ------------------------------------------------------------ what becomes of one

    def _ended(self, line: int, model: str, size: int, task: "asyncio.Task[Entry]") -> None:
        del self._under_way[line]
        self._share.end(model, size)
        self._wake.set()
        tried, self._trial = line == self._trial, None if line == self._trial else self._trial
        if line == self._alone:
            self._alone = None
        if task.cancelled():
            self._pending.put_back(line, model)
            return
        error = task.exception()
        if error is not None:
            self._pending.put_back(line, model)
            if isinstance(error, PayerGone):
                self.gone = str(error)
            else:
                self._storage_failed(error)
            return
        entry = task.result()
        result = entry.result
        verdict = Verdict.FAILED if result is None else verdict_on(result)
        if tried and verdict is not Verdict.UNPAID:
            self._pay_again = None
            self._clear(Reason.INSUFFICIENT_CREDITS)
        if result is None or verdict is Verdict.FAILED:
            self._is_there(model)
            if not self._pending.failed(line, model):
                self._unwritten[line] = entry
        elif verdict is Verdict.DONE:
            self._is_there(model)
            self._unwritten[line] = entry
        else:
            self._pending.put_back(line, model)
            self._put_off(verdict, model, result)

    def _put_off(self, verdict: Verdict, model: str, result: LineResult) -> None:
        if verdict is Verdict.UNPAID:
            self._pay_again = self._clock.now() + CREDITS
            self.pause = Pause(Reason.INSUFFICIENT_CREDITS, error_of(result)[1])
        elif verdict is Verdict.WAIT:
            self._leave_alone(model, result)
        else:
            self._stopping = True

    def _is_there(self, model: str) -> None:
        """It works."""
        self._later.pop(model, None)
        self._waits.pop(model, None)
        self._absent.pop(model, None)
        self._clear(Reason.MODEL_UNAVAILABLE)

    def _leave_alone(self, model: str, result: LineResult) -> None:
        """Ask nothing of a model for a while."""
        now = self._clock.now()
        if self._later.get(model, now) <= now:  # of several that were under way, the first
            wait = self._waits.get(model, FIRST_WAIT)
            self._later[model] = now + min(max(wait, result.retry_after or 0.0), LONGEST_WAIT)
            self._waits[model] = min(2 * wait, LONGEST_WAIT)
        code, words = error_of(result)
        if code == "model_unavailable":
            self._absent[model] = words
        else:
            self._absent.pop(model, None)

    def _look_for_models(self) -> None:
        """It is a pause only once nothing else is left to do: lines of others may have ended since one was tried."""
        if self.pause is None and self._absent and not self._under_way:
            now = self._clock.now()
            if all(self._later.get(model, now) > now for model in self._pending.models):
                self.pause = Pause(Reason.MODEL_UNAVAILABLE, next(iter(self._absent.values())))

    def _clear(self, reason: Reason) -> None:
        if self.pause is not None and self.pause.reason is reason:
            self.pause = None

    # ------------------------------------------------------------ writing and waiting

    async def _write(self) -> None:
        """What has ended."""
        if self._storage_again is not None:
            if self._clock.now() < self._storage_again:
                return
            self._storage_again = None
        if self._unwritten:
            try:
                await in_thread(self._journal.write, list(self._unwritten.values()))
            except (OSError, StorageFull) as error:
                self._storage_failed(error)
            for line in [line for line in self._unwritten if line in self._journal]:
                entry = self._unwritten.pop(line)
                self._tries.pop(line, None)
                self._tools.ended("completed" if entry.succeeded else "failed")
        if self._storage_again is None:
            self._clear(Reason.STORAGE_FULL)

    def _storage_failed(self, error: BaseException) -> None:
        words = "The batch's files can't be read or written. Whoever runs the server finds the reason in its log."
        if isinstance(error, StorageFull):
            words = error.message
        else:
            log.warning("%s waits: its files can't be read or written: %s", self._payer.name, error)
        self._storage_again = self._clock.now() + STORAGE
        self.pause = Pause(Reason.STORAGE_FULL, words)

    def _due(self) -> float | None:
        """When something may be begun or written, without anything having happened."""
        if self._storage_again is not None:
            return self._storage_again
        if self._stopping or self._held or self.gone is not None or self._alone is not None:
            return None
        line = self._pending.alone()
        models = self._pending.models if line is None else [self._source.model(line)]
        if self._pay_again is None:
            return min((self._later[model] for model in models if model in self._later), default=None)
        if self._trial is not None or not models:
            return None
        return max(self._pay_again, min(self._later.get(model, 0.0) for model in models))

    async def _wait(self) -> None:
        """Until something has ended, or somebody has called, or something is to be tried again."""
        if self._over or (self._unwritten and self._storage_again is None):
            return  # what ended while others were written
        due = self._due()
        if due is None:
            await self._wake.wait()
        elif (seconds := due - self._clock.now()) > 0:
            waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
