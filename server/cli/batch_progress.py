"""How far a batch is, on standard error: a bar for who watches a terminal, a line now and then for a log."""

import sys
import time
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY = 10.0
"""Seconds between two lines of a log."""


class Progress:
    """Use it by `with`."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True, emoji=False, highlight=False),
                transient=True,
            )
            self._task = self._bar.add_task("", total=None)
        self._total = 0
        self._told = time.monotonic()

    def begin(self, total: int, done: int) -> None:
        """How many requests there are, and are done already."""
        self._total = total
        if self._bar is not None:
            self._bar.reset(self._task, total=total, completed=done)
        if done:
            self._line(f"{done:,} of {total:,} requests were done before")

    def say(self, what: str) -> None:
        """What is being done, before any request is."""
        if self._bar is not None:
            self._bar.update(self._task, description=what)
        elif self._due():
            self._line(what)

    def done(self, done: int, failed: int, what: str) -> None:
        """How many requests are done by now, those that failed among them."""
        said = what if not failed else f"{what}, {failed:,} failed"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=said)
        elif self._due():
            self._line(f"{done:,} of {self._total:,} requests are done; {said}")

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._told < EVERY:
            return False
        self._told = now
        return True

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        else:
            typer.echo(text, err=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
