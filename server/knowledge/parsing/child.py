"""The process in which a document is read. It gets the file as its standard input, and is told nothing of where it
lies; what it makes of it goes to its standard output, a JSON object a line:

    {"block": [text, headings, page, lines]}    one for each block, in order
    {"progress": [done, total]}
    {"error": message, "at": place}             the last one: for the document's owner, and for the server's log
    {"end": blocks}                             the last one: how many there were
"""

import ctypes
import json
import logging
import os
import resource
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from server.engines.parent import die_with_parent
from server.errors import UnreadableDocument
from server.knowledge.parsing.bounds import Allowance, Bounds
from server.knowledge.parsing.confining import refuse_calls
from server.knowledge.parsing.dispatch import parse_document
from server.knowledge.parsing.outline import Sink
from server.knowledge.parsing.parsed import Block
from server.knowledge.parsing.source import Source

OFTEN = 0.25
"""Seconds between two reports of progress."""
LIBRARIES = 192 * 2**20
"""Bytes of addresses that the parsers' libraries map: openpyxl's numpy has most, 150 MB (taken by hand)."""
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
"""From linux/sched.h."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the child is to do, as it stands on its command line. parent: process. seconds: of processor time.

    memory: bytes. suffix: of the file's name.
    """

    parent: int
    seconds: int
    memory: int
    suffix: str
    bounds: Bounds

    def dumped(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loaded(cls, text: str) -> "Order":
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "bounds": Bounds(**values["bounds"])})


class Frames:
    """What goes to the parent. It is written with each report of progress, and when the pipe's buffer is full."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._reported = time.monotonic()

    def block(self, block: Block) -> None:
        self._write({"block": [block.text, block.headings, block.page, block.lines]})

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._reported >= OFTEN or done == total:
            self._reported = now
            self._write({"progress": [done, total]})
            self._out.flush()

    def end(self, blocks: int) -> None:
        self._write({"end": blocks})
        self._out.flush()

    def error(self, message: str, at: str = "") -> None:
        self._write({"error": message[:500], "at": at[:500]})
        self._out.flush()

    def _write(self, frame: dict[str, Any]) -> None:
        self._out.write(json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n")


def confine(order: Order) -> None:
    """Less time, memory and reach than the server has. Nothing on the disk is changed, no program is started and nobody
    is connected to, where the system can see to that."""
    os.nice(10)
    ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET)
    die_with_parent(order.parent)  # after it: the kernel forgets this where a process gets other rights
    resource.setrlimit(resource.RLIMIT_CPU, (order.seconds, order.seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    addresses = _mapped() + LIBRARIES + order.memory
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    refuse_calls()


def _mapped() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - pathlib would be imported for it
        return int(statm.read().split()[0]) * resource.getpagesize()


def main() -> None:
    order = Order.loaded(sys.argv[1])
    confine(order)
    logging.disable()
    warnings.simplefilter("ignore")
    # Whatever a library prints must not be taken for frames: standard output is where standard error is.
    out = os.fdopen(os.dup(1), "wb", buffering=2**16)
    os.dup2(2, 1)
    frames = Frames(out)
    sink = Sink(frames.block, order.bounds)
    with os.fdopen(0, "rb") as file:
        source = Source(file, order.suffix, order.bounds, Allowance(order.bounds), progress=frames.progress)
        try:
            parse_document(source, sink)
        except UnreadableDocument as error:
            frames.error(error.message, _place(error.__cause__))
        except MemoryError as error:
            failure = _place(error)
            del error
            frames.error("Reading the file takes more memory than the server gives it.", failure)
        except Exception as error:  # noqa: BLE001 - without words the process would only be seen to have died
            frames.error("The file is damaged, or not a regular one.", _place(error))
        else:
            frames.end(sink.blocks)
    out.flush()
    os._exit(0)  # without tidying up what may be a gigabyte of objects


def _place(error: BaseException | None) -> str:
    """For the log: where it went wrong, without a word of the document, which an error's message may hold."""
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return f"{type(error).__name__} at " + ", ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)


if __name__ == "__main__":
    main()
