"""Damaged and doctored documents of every kind: read or refused, within time and memory, and nothing left behind.

Most are read in one process, by the parsers alone, which shows what they raise and how long they take. Some go through
the process that a server reads them in.
"""

import asyncio
import io
import os
import random
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import psutil

from scripts.attacks.row import Row
from server.errors import UnreadableDocument
from server.knowledge.parsing import reader
from server.knowledge.parsing.bounds import Allowance, Bounds
from server.knowledge.parsing.dispatch import parse_document
from server.knowledge.parsing.outline import Sink
from server.knowledge.parsing.source import Source, suffix_of

COUNT, SEED = 20_000, 14
EVERY = 100
"""One of so many goes through the process."""
LONGEST = 20.0
"""Seconds that a small damaged file may take."""
MEMORY = 256 * 2**20
BOUNDS = Bounds()
NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"99999999999")

NAMES = ("../../x", "/etc/passwd", "a" * 60_000, "mimetype", "\u202e.txt")


def samples() -> dict[str, bytes]:
    """A small file of each kind, by its name."""
    from tests.knowledge.parsing.samples import SAMPLES

    return SAMPLES


def mutated(data: bytes, numbers: random.Random) -> bytes:
    """One to eight changes; half of those of archives are made to a file within, which is packed once more."""
    if data[:4] == b"PK\x03\x04" and numbers.random() < 0.5:
        return _repacked(data, numbers)
    changed = bytearray(data)
    for _ in range(numbers.randint(1, 8)):
        if not changed:
            break
        at = numbers.randrange(len(changed))
        match numbers.randrange(7):
            case 0 | 1:
                changed[at] ^= 1 << numbers.randrange(8)
            case 2:
                changed[at] = numbers.randrange(256)
            case 3:
                number = numbers.choice(NUMBERS)
                changed[at : at + len(number)] = number
            case 4:
                end = at + numbers.randint(1, 200)
                changed[at:at] = changed[at:end] * numbers.choice((1, 1, 2, 50))
            case 5:
                del changed[at : at + numbers.randint(1, 200)]
            case 6 if numbers.random() < 0.2:
                del changed[at:]
    return bytes(changed)


def _repacked(data: bytes, numbers: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as made:
        infos = archive.infolist()
        victim = numbers.choice(infos).filename
        for info in infos:
            inner = archive.read(info)
            if info.filename == victim:
                trick = numbers.randrange(6)
                if trick == 0:
                    continue
                inner = mutated(inner, numbers) if trick < 4 else inner
                if trick == 5:
                    info.filename = numbers.choice(
                        ("../../x", "/etc/passwd", "a" * 60_000, info.filename, "\u202e.txt")
                    )
            made.writestr(info, inner)
    return out.getvalue()


@dataclass
class Found:
    """Of one kind. raised: what parsers let through, besides what says that the file can't be read."""

    name: str
    read: int = 0
    refused: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds of processor time."""
    memory: int = 0
    """Bytes that the process had at the most."""


def parsed(name: str, data: bytes, seed: int, count: int) -> Found:
    """By the parsers alone, in this process."""
    import resource

    limit = 2 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.nice(15)
    found = Found(name)
    numbers = random.Random(f"{seed} {name}")
    for _ in range(count):
        file = mutated(data, numbers)
        began = time.process_time()
        try:
            source = Source(io.BytesIO(file), suffix_of(name), BOUNDS, Allowance(BOUNDS))
            parse_document(source, Sink(lambda _block: None, BOUNDS))
            found.read += 1
        except UnreadableDocument:
            found.refused += 1
        except BaseException as error:  # noqa: BLE001 - it is told
            found.raised[f"{type(error).__name__}: {error}"[:100]] += 1
        found.slowest = max(found.slowest, time.process_time() - began)
    found.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


async def _through_the_process(folder: Path, kinds: dict[str, bytes], count: int) -> Row:
    """As a server reads them."""
    numbers = random.Random(SEED)
    read = refused = 0
    wrong: Counter[str] = Counter()
    slowest = 0.0
    files_before = _open_files()
    path = folder / "file"
    for place in range(count):
        name = list(kinds)[place % len(kinds)]
        path.write_bytes(mutated(kinds[name], numbers))
        began = time.monotonic()
        try:
            await reader.read(path, name, timeout=LONGEST, memory=MEMORY)
            read += 1
        except UnreadableDocument as error:
            refused += 1
            if "/" in error.message or "Error" in error.message or "Traceback" in error.message:
                wrong[f"said {error.message}"[:100]] += 1
        except Exception as error:  # noqa: BLE001 - it is told
            wrong[f"raised {type(error).__name__}"] += 1
        slowest = max(slowest, time.monotonic() - began)
    await asyncio.sleep(0.2)  # asyncio closes the last pipe in its next turns
    left = [child.pid for child in psutil.Process().children(recursive=True) if "parsing.child" in _line(child)]
    files = _open_files() - files_before
    others = os.listdir(folder)  # noqa: PTH208 - as a list
    others.remove(path.name)
    first = f", {next(iter(wrong))}" if wrong else ""
    return Row(
        f"{count:,} damaged documents through the process that reads",
        f"{read:,} read, {refused:,} refused, slowest {slowest:.1f} s, {len(left)} processes, {files} open files and "
        f"{len(others)} files left{first}",
        f"read or refused in words, within {LONGEST:g} s, nothing left",
        not wrong and not left and files <= 0 and not others and slowest < LONGEST,
    )


def _open_files() -> int:
    return psutil.Process().num_fds()


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    kinds = samples()
    each = (400 if quick else COUNT) // len(kinds)
    loop = asyncio.get_running_loop()
    # A process for each kind, so that one that is killed costs the others nothing.
    for name, data in kinds.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            try:
                found = await loop.run_in_executor(pool, parsed, name, data, SEED, each)
            except Exception as error:  # noqa: BLE001 - the process died
                yield Row(f"{each:,} damaged {name}", f"the process died: {error}"[:200], "read or refused", held=False)
                continue
        raised = f", raised {dict(found.raised)}" if found.raised else ""
        yield Row(
            f"{each:,} damaged {name} (seed {SEED})",
            f"{found.read:,} read, {found.refused:,} refused, slowest {found.slowest:.2f} s of a processor, "
            f"{found.memory / 2**20:.0f} MiB{raised}"[:400],
            f"read or refused, each within {LONGEST:g} s",
            not found.raised and found.slowest < LONGEST,
        )
    yield await _through_the_process(folder, kinds, 32 if quick else max(len(kinds), COUNT // EVERY))
