"""Reads one document in a process of its own, within a time and a memory."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

import server
from server.errors import UnreadableDocument
from server.knowledge.parsing.bounds import Bounds
from server.knowledge.parsing.child import Order
from server.knowledge.parsing.kinds import PAGE, SOUND, SUFFIXES
from server.knowledge.parsing.outline import DEEPEST, LONGEST_BLOCK, LONGEST_HEADING
from server.knowledge.parsing.parsed import Block
from server.knowledge.parsing.source import suffix_of

__all__ = ["PAGE", "SUFFIXES", "read", "sound"]

log = logging.getLogger(__name__)

USUAL = Bounds()
LONGEST_FRAME = 2**17
"""Bytes. A block's text and headings are at most 22,400 characters, each of at most four bytes."""
_DAMAGED = "The file can't be read: it is damaged, or takes more memory than the server gives it."


def sound(filename: str) -> bool:
    """Whether a file of that name is a recording, which is transcribed rather than parsed."""
    return suffix_of(filename) in SOUND


async def read(
    path: Path,
    filename: str,
    *,
    timeout: float,
    memory: int,
    progress: Callable[[int, int], None] | None = None,
    bounds: Bounds = USUAL,
) -> Sequence[Block]:
    """The file's blocks, in order. filename: its suffix, and its first bytes, say what it is. timeout: seconds.
    memory: bytes. progress: pages or the like that are done, and of how many.

    Raises UnreadableDocument. A cancellation ends the process.
    """
    order = Order(os.getpid(), int(timeout) + 1, memory, suffix_of(filename), bounds)
    try:
        async with asyncio.timeout(timeout), _child(path, order) as process:
            return await _blocks(process, bounds, progress)
    except TimeoutError as error:
        raise UnreadableDocument(_too_long(timeout)) from error
    except _Died as error:
        if error.code == -signal.SIGXCPU:
            raise UnreadableDocument(_too_long(timeout)) from error
        log.warning("the process that read a document of the kind %s died: %d", order.suffix, error.code)
        raise UnreadableDocument(_DAMAGED) from error


class _Died(Exception):
    """code: as `returncode` has it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _too_long(timeout: float) -> str:
    return f"Reading the file takes more than {timeout:g} seconds."


@asynccontextmanager
async def _child(path: Path, order: Order) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process that reads; however the block is left, it has ended then."""
    with path.open("rb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server.knowledge.parsing.child",
            order.dumped(),
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            limit=LONGEST_FRAME,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            # With its group, whatever it has started. `process.kill` would reap one that has just ended before asyncio
            # does, which then reports a process that it does not know.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            # asyncio waits for the end of the pipe too, which does not come while what is in it is not read.
            assert process.stdout is not None
            while await process.stdout.read(LONGEST_FRAME):
                pass
            await process.wait()


def _environment() -> dict[str, str]:
    """Nothing of the server's own, which may hold secrets; only where its code lies."""
    paths = [str(Path(server.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
    }


async def _blocks(
    process: asyncio.subprocess.Process, bounds: Bounds, progress: Callable[[int, int], None] | None
) -> list[Block]:
    """What the child sends, none of which is believed: a hostile file may have taken it over."""
    assert process.stdout is not None
    blocks: list[Block] = []
    characters = 0
    headings: tuple[str, ...] = ()
    async for frame in _frames(process):
        match frame:
            case {"block": [str(text), [*titles], page, bool(lines)]}:
                if tuple(titles) != headings:  # blocks under the same headings share them
                    headings = _headings(titles)
                blocks.append(Block(_bounded(text, LONGEST_BLOCK), headings, _page(page), lines=lines))
                characters += len(text)
                if len(blocks) > bounds.blocks or characters > bounds.characters:
                    raise _distrusted("more text than it may")
            case {"progress": [int(done), int(total)]}:
                if progress is not None:
                    progress(done, total)
            case {"error": str(message), "at": str(place)}:
                if place:
                    log.info("a document can't be read: %s", place)
                raise UnreadableDocument(message)
            case {"end": int(count)} if count == len(blocks) > 0:
                return blocks
            case _:
                raise _distrusted("an unknown frame")
    raise _Died(await process.wait())


async def _frames(process: asyncio.subprocess.Process) -> AsyncIterator[Any]:
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError as error:
            raise _distrusted("a frame longer than it may be") from error
        if not line.endswith(b"\n"):
            return
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _distrusted("no JSON") from error


def _headings(titles: Sequence[Any]) -> tuple[str, ...]:
    if len(titles) > DEEPEST or not all(isinstance(title, str) for title in titles):
        raise _distrusted("headings that are none")
    return tuple(_bounded(title, LONGEST_HEADING) for title in titles)


def _page(page: Any) -> int | None:
    if page is not None and (not isinstance(page, int) or not 0 < page < 2**31):
        raise _distrusted("a page that is none")
    return page


def _bounded(text: str, most: int) -> str:
    if len(text) > most:
        raise _distrusted("a text longer than it may be")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _distrusted("a text that is none") from error
    return text


def _distrusted(what: str) -> UnreadableDocument:
    log.warning("the process that read a document sent %s", what)
    return UnreadableDocument(_DAMAGED)
