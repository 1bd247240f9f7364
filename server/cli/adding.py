"""`sagehold datasets add`: files, folders and standard input become documents that can be found."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.knowledge import DEFAULT, Account, Named, consult
from server.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from server.core import Caller
    from server.errors import Unavailable
    from server.knowledge.knowledge import Knowledge
    from server.knowledge.records import Document

STANDARD_INPUT = "-"
AT_ONCE = 16
"""Documents that wait or are under way at once: a copy of each lies in the data folder meanwhile."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be added. name: under which the dataset keeps it; shown: where it comes from, for people."""

    path: Path
    name: str
    shown: str


@dataclass(slots=True)
class Sources:
    """skipped: what was left out of folders, by why. twice: files that another one's name keeps out of the dataset."""

    files: list[Source] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    twice: list[tuple[Source, Source]] = field(default_factory=list)


def add(
    dataset: Named,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FILE|FOLDER|-...", help="Files, folders with all that is below, - for standard input."),
    ],
    context: Annotated[str, typer.Option(help="A line that is shown with each reference to them.")] = "",
    name: Annotated[str, typer.Option(help="What standard input is called; its ending says its kind.")] = "stdin.txt",
    account: Account = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Add documents, and wait until they can be found. One of a name that is there already is replaced.

    A server that runs on the same data folder ingests them; without one, this command does.

    Of folders, hidden and empty files and kinds that are not read are left out.

    Ends with 1 if a document failed, and says which and why. Ctrl-C takes back what is not ready yet.
    """
    with _standard_input(paths) as piped:
        sources = _sources(paths, piped, name)
        adding = Adding(dataset, sources, context)
        try:
            consult(account, adding.run)
        except KeyboardInterrupt:
            typer.echo(f"Stopped: {_documents(len(adding.added))} of {len(sources.files)} were added before.", err=True)
            raise typer.Exit(130) from None
    if as_json:
        print_json(
            {
                "added": [_row(document) for document in adding.added],
                "failed": [{"file": file, "error": error} for file, error in adding.failed],
                "skipped": dict(sources.skipped),
            }
        )
    else:
        chunks = sum(document.chunks for document in adding.added)
        typer.echo(f"Added {_documents(len(adding.added))} to {dataset}: {chunks} passages.")
        if sources.skipped:
            why = [f"{count} {reason}" for reason, count in sorted(sources.skipped.items())]
            typer.echo(f"Left out of folders: {', '.join(why)}.")
    if adding.failed:
        raise typer.Exit(1)


class Adding:
    """added, failed: what came of it; failed ones with why."""

    def __init__(self, dataset: str, sources: Sources, context: str) -> None:
        self._dataset = dataset
        self._sources = sources
        self._context = context
        self._outage: Unavailable | None = None
        self.added: list[Document] = []
        self.failed: list[tuple[str, str]] = []

    async def run(self, knowledge: "Knowledge", caller: "Caller") -> None:
        """Raises what `Datasets.find` does; Unavailable where nothing can be added now."""
        from server.knowledge.records import Permission

        await knowledge.datasets.find(caller, self._dataset, Permission.EDIT)
        with _progress() as progress:
            for file, first in self._sources.twice:
                words = f"{first.shown} is added under the same name, and a dataset keeps one of each"
                self._fail(progress, file, words)
            whole = progress.add_task("documents", total=len(self._sources.files))
            waiting = iter(self._sources.files)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(AT_ONCE, len(self._sources.files))):
                        group.create_task(self._each(knowledge, caller, waiting, progress, whole))
                await knowledge.ingestion.settle()
            except asyncio.CancelledError:
                progress.update(whole, description="taking back what is not ready")
                await knowledge.ingestion.withdraw()
                raise
        if self._outage is not None:
            raise self._outage

    async def _each(
        self,
        knowledge: "Knowledge",
        caller: "Caller",
        waiting: Iterator[Source],
        progress: "Progress",
        whole: "TaskID",
    ) -> None:
        from server.errors import SageholdError, Unavailable

        for source in waiting:
            try:
                await self._one(knowledge, caller, source, progress)
            except Unavailable as error:  # the next one would fare no better
                self._outage = error
            except SageholdError as error:
                self._fail(progress, source, error.message)
            except OSError as error:
                self._fail(progress, source, f"it can't be read: {error.strerror or error}")
            if self._outage is not None:
                return
            progress.advance(whole)

    async def _one(self, knowledge: "Knowledge", caller: "Caller", source: Source, progress: "Progress") -> None:
        from server.knowledge.records import DocumentState

        ingestion = knowledge.ingestion
        queued = await ingestion.add(caller, self._dataset, source.name, source.path, context=self._context)
        line = progress.add_task("", total=None, visible=False)  # few are under way at once, and many wait
        document: Document | None = None
        try:
            async for document in ingestion.follow(queued.id):
                progress.update(
                    line,
                    description=f"{document.state.value} {_printable(source.shown)}",
                    completed=document.done,
                    total=document.total or None,
                    visible=document.state is not DocumentState.QUEUED,
                )
        finally:
            progress.remove_task(line)
        if document is None or not document.state.ended:
            self._fail(progress, source, "it was taken out of the dataset, or replaced, before it was ready")
        elif document.state is DocumentState.READY:
            self.added.append(document)
        else:
            self._fail(progress, source, document.error or "it was cancelled")

    def _fail(self, progress: "Progress", source: Source, words: str) -> None:
        self.failed.append((source.shown, words))
        progress.console.print(f"{_printable(source.shown)}: {words}", markup=False, highlight=False, soft_wrap=True)


# ---------------------------------------------------------------- what is to be added


@contextmanager
def _standard_input(paths: Sequence[str]) -> Iterator[Path | None]:
    """What comes from it, in a file for as long as the block goes on; None where it was not asked for.

    It is read before anything else begins: Ctrl-C ends the reading at once.
    """
    if STANDARD_INPUT not in paths:
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="sagehold-") as file:
        shutil.copyfileobj(typer.get_binary_stream("stdin"), file)
        file.flush()
        yield Path(file.name)


def _sources(paths: Sequence[str], piped: Path | None, name: str) -> Sources:
    """Raises typer.BadParameter for a path that is not there."""
    found = Sources()
    names: dict[str, Source] = {}

    def take(source: Source) -> None:
        first = names.setdefault(source.name, source)
        if first is source:
            found.files.append(source)
        elif not _same(first.path, source.path):
            found.twice.append((source, first))

    for given in dict.fromkeys(paths):
        path = Path(given)
        if given == STANDARD_INPUT:
            assert piped is not None
            take(Source(piped, name, name))
        elif path.is_dir():
            for file in _below(path, found.skipped):
                take(Source(file, file.name, str(file)))
        elif path.exists():
            take(Source(path, path.name, given))
        else:
            raise typer.BadParameter(f"there is no file or folder {_printable(given)}", param_hint="FILE|FOLDER|-")
    if not found.files and not found.skipped:
        raise typer.BadParameter("there is no file in it", param_hint="FILE|FOLDER|-")
    return found


def _below(folder: Path, skipped: "Counter[str]") -> Iterator[Path]:
    """The files that may be read, in order."""
    from server.knowledge.parsing import reader

    for place, folders, files in os.walk(folder):
        skipped["hidden"] += sum(one.startswith(".") for one in [*folders, *files])
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(one for one in files if not one.startswith(".")):
            path = Path(place) / name
            if not path.is_file():
                skipped["not a file"] += 1
            elif path.suffix.lower() not in reader.SUFFIXES and not reader.sound(name):
                skipped[f"of a kind that is not read ({_printable(path.suffix) or 'no ending'})"] += 1
            elif not path.stat().st_size:
                skipped["empty"] += 1
            else:
                yield path
    skipped += Counter()  # without what is 0


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


# ---------------------------------------------------------------- what is told


def _progress() -> "Progress":
    """On standard error, and only for somebody who watches; what is printed by its console is printed in any case."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, emoji=False),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count} documents"


def _printable(text: str) -> str:
    """Names of files may hold what a terminal obeys."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _row(document: "Document") -> dict[str, Any]:
    return {
        "id": document.id,
        "filename": document.filename,
        "chunks": document.chunks,
        "tokens": document.tokens,
        "size": document.size,
    }
