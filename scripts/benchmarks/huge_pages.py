"""Transparent huge pages: what the kernel grants, set for a block, and what processes have of them."""

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class HugePages(StrEnum):
    """To all memory, to what asks for them by madvise, or to none."""

    ALWAYS = "always"
    MADVISE = "madvise"
    NEVER = "never"


def granted(setting: Path = SETTING) -> HugePages:
    """What the kernel grants now: it writes `always [madvise] never`. None where it knows no huge pages."""
    try:
        words = setting.read_text()
    except FileNotFoundError:
        return HugePages.NEVER
    return HugePages(words.partition("[")[2].partition("]")[0])


@contextmanager
def granting(wanted: HugePages, setting: Path = SETTING) -> Iterator[None]:
    """The kernel grants `wanted` for the length of the block: for the whole machine, and for root only to say.

    Raises OSError where it can't be set; nothing is written where it is so already.
    """
    before = granted(setting)
    if wanted == before:
        yield
        return
    setting.write_text(wanted)
    try:
        yield
    finally:
        setting.write_text(before)


def held(pids: Iterable[int], processes: Path = Path("/proc")) -> int:
    """Bytes of anonymous huge pages that these processes have together."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in (processes / f"{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("AnonHugePages:"):
                    total += int(line.split()[1]) * 1024
    return total
