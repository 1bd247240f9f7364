"""A file of requests at work for a command: looked through, its models loaded, its lines run, and what came of it."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from anyio import to_thread

from server.api import json_size
from server.api.access import ANYONE
from server.api.batch_lines import BatchLines
from server.api.batch_models import model_for, places_in
from server.api.services import ModelState
from server.app import create_app
from server.cli.batch_progress import Progress
from server.cli.ending import leave
from server.cli.serve import import_engines
from server.core import Priority
from server.jobs.batches.input_file import InputFile, Rules, Scan
from server.jobs.batches.journal import ForeignJournal, Journal
from server.jobs.batches.records import LineError
from server.jobs.batches.runner import LineRunner, Payer, Tools
from server.jobs.batches.window import Window
from server.models.config.catalog import Catalog
from server.models.slot import State
from server.services import requests_alone
from server.settings import Settings

QUEUE_TIMEOUT = 7 * 24 * 3600.0
"""Seconds that a request waits for its turn: nobody is there who would rather be refused."""
LOOK_AGAIN = 0.1
"""Seconds between two looks at what there is to tell."""
PIECE = 2**20


class NotBegun(Exception):
    """Why nothing was begun, in words for people. errors: what is wrong with the file's lines."""

    def __init__(self, message: str, errors: Sequence[LineError] = ()) -> None:
        super().__init__(message)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Outcome:
    """total: requests of the file. completed, failed: of them, by now; before: those that were done before. seconds:
    that this run took, from when its models were there. tokens: read, and written. stopped: whether it was ended."""

    total: int
    completed: int
    failed: int
    before: int
    seconds: float
    tokens: tuple[int, int]
    stopped: bool

    def in_words(self, errors: Path) -> str:
        done = self.completed + self.failed
        said = f"{done:,} of {self.total:,} requests are done"
        if self.failed:
            said += f", {self.failed:,} of them were refused or failed: see {errors}"
        said += f". {self.tokens[0]:,} tokens read, {self.tokens[1]:,} written"
        if new := done - self.before:
            said += f"; {new:,} requests in {self.seconds:.1f} s, {new / max(self.seconds, 1e-3):,.1f} a second"
        return f"{said}. The same command goes on from here." if done < self.total else f"{said}."


class Work:
    """One run of the command."""

    def __init__(self, settings: Settings, requests: Path, output: Path, errors: Path) -> None:
        self._settings = settings
        self._requests = requests
        self._output = output
        self._errors = errors

    async def run(self) -> Outcome:
        """Raises NotBegun, CatalogError, StorageFull, OSError."""
        settings = self._settings
        catalog = await to_thread.run_sync(
            lambda: Catalog.load(settings.model_configs, settings.models_dir, None, only=settings.models)
        )
        async with AsyncExitStack() as stack:
            interrupt = stack.enter_context(interrupts())
            progress = stack.enter_context(Progress())
            progress.say("looking through the file")
            source = stack.enter_context(await self._looked_through(catalog))
            stack.enter_context(_alone(self._output))
            name = await to_thread.run_sync(_digest, self._requests)
            journal = await to_thread.run_sync(self._journal, name)
            stack.callback(journal.close)
            before, begun = journal.done, time.monotonic()
            progress.begin(source.total, before)
            if before < source.total and not interrupt.caught:
                begun = await self._work(source, journal, name, catalog, progress, interrupt)
            usage = journal.usage
            return Outcome(
                source.total,
                journal.completed,
                journal.failed,
                before,
                time.monotonic() - begun,
                (usage.input_tokens, usage.output_tokens),
                stopped=interrupt.caught,
            )

    async def _looked_through(self, catalog: Catalog) -> InputFile:
        settings = self._settings
        model_of = partial(model_for, catalog, None)
        rules = Rules(None, model_of, json_size.check, settings.max_batch_lines, settings.max_body)
        scan = Scan(self._requests, rules)
        source = await scan.run()
        if scan.errors:
            source.close()
            count = len(scan.errors)
            raise NotBegun(f"{self._requests}: {count} error{'s' if count > 1 else ''}, nothing was begun", scan.errors)
        return source

    def _journal(self, name: str) -> Journal:
        try:
            return Journal(self._output, self._errors, name)
        except ForeignJournal:
            raise NotBegun(
                f"{self._output} or {self._errors} holds something else than answers to {self._requests} as it is now. "
                "Choose other names, or take those files away to begin anew."
            ) from None

    async def _work(
        self,
        source: InputFile,
        journal: Journal,
        name: str,
        catalog: Catalog,
        progress: Progress,
        interrupt: "Interrupt",
    ) -> float:
        """Returns when the models were there, by time.monotonic()."""
        wanted = [spec for spec in catalog.models if spec.name in source.models]
        import_engines([spec.model_copy(update={"load": "eager"}) for spec in wanted])
        async with requests_alone(self._settings, catalog, source.models, QUEUE_TIMEOUT) as services:
            registry = services.registry
            while waits_for := _not_there(registry.states(), source.models):
                if interrupt.caught:
                    return time.monotonic()
                progress.say(waits_for)
                await asyncio.sleep(LOOK_AGAIN)
            begun = time.monotonic()
            app = create_app(services.settings, services)
            lines = BatchLines(app, None, None, priority=Priority.NORMAL)
            window = Window(partial(places_in, registry))
            runner = LineRunner(source, journal, Payer(name, ANYONE.account_id, None), Tools(lines, window))
            interrupt.first(runner.stop)
            telling = asyncio.create_task(_tell(runner, journal, progress))
            try:
                await runner.run()
            finally:
                telling.cancel()
            progress.done(journal.done, journal.failed, "ending")
            await to_thread.run_sync(journal.sync)
            return begun


async def _tell(runner: LineRunner, journal: Journal, progress: Progress) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        said = "answering" if runner.pause is None else runner.pause.message
        progress.done(journal.done, journal.failed, said)


def _not_there(states: Mapping[str, ModelState], wanted: Sequence[str]) -> str | None:
    """Which model is waited for, and what its load is at; None once none is. Raises NotBegun for one that can't be had.

    One that finds no room beside the others is loaded when their requests are done.
    """
    for name in wanted:
        standing = states[name]
        if standing.state is State.FAILED:
            raise NotBegun(f"the model {name} can't be loaded: {standing.reason}")
        if standing.loading is not None:
            return f"{name}: {standing.loading.phase} ({standing.loading.seconds:.0f} s)"
        if standing.state in (State.LOADING, State.UNLOADED) and standing.refusal is None:
            return f"{name}: waiting for its load"
    return None


# ---------------------------------------------------------------- the files


def _digest(path: Path) -> str:
    """A name of a file by what is in it, so that its answers are not taken for those to another."""
    found = blake2b(digest_size=12)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


@contextmanager
def _alone(output: Path) -> Generator[None, None, None]:
    """Nobody else adds to the output meanwhile. Raises NotBegun where somebody does; OSError."""
    file = os.open(output, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotBegun(f"another run is at work on {output}") from None
        yield
    finally:
        os.close(file)


# ---------------------------------------------------------------- Ctrl-C


class Interrupt:
    """caught: whether a signal has come that ends the command."""

    def __init__(self) -> None:
        self.caught = False
        self._first: Callable[[], object] = lambda: None

    def first(self, act: Callable[[], object]) -> None:
        """What the first signal does; at once if it has come."""
        self._first = act
        if self.caught:
            act()

    def catch(self, number: int) -> None:
        """The second ends the process: what was answered is in its file."""
        if self.caught:
            leave(128 + number)
        self.caught = True
        self._first()


@contextmanager
def interrupts() -> Generator[Interrupt, None, None]:
    """Ctrl-C and the like, while the block runs."""
    loop, interrupt = asyncio.get_running_loop(), Interrupt()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, interrupt.catch, number)
    try:
        yield interrupt
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
