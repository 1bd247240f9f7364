"""A process of its own that turns what others print into JSON lines: the log's last resort.

Libraries write to standard error behind Python's back: C++ and CUDA, Triton, NUMA's, the interpreter as it dies. With
`log_format: json` file descriptors 1 and 2 of every process lead into a pipe that is read here, so that nothing but
JSON leaves the server. It outlives the front end, since last words come last, and ends when the last of its pipes has
no writer any more. Started by path (raw_output.py): it imports nothing of the server.
"""

import contextlib
import json
import os
import re
import select
import selectors
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

LONGEST = 4096
"""Bytes of a line that a pipe takes as one (PIPE_BUF of Linux): two processes write to the log, and a longer line could
get another into its midst."""
PART = 120
"""Characters below which a text is not taken apart."""
BUFFER = 1 << 16
MOST_LINES = 1000
"""Of what a process prints, in one line of the log."""
IDLE = 0.5
"""Seconds after which what a process has printed last is written down: more may belong to it."""

PASS = b"pipe "
"""Before the name of a new pipe, whose end comes with the message."""
FLUSH = b"flush"
DONE = b"done"

VLLM = re.compile(
    r"(?:\S+ )?\((?P<process>[^()]+) pid=(?P<pid>\d+)\) (?P<level>[A-Z]+) [\d-]+ [\d:]+ \[(?P<at>[^\]]+)\] "
    r"(?P<text>.*)",
    re.DOTALL,
)
"""A line of vLLM's own logging (vllm/logger.py, _FORMAT)."""
COLORS = re.compile(r"\x1b\[[0-9;]*m")
TRACE = "Traceback (most recent call last):"
WORDS = (
    (
        "error",
        re.compile(
            r"^sagehold: |\b(\w*error|fatal|exception|traceback|aborted|terminate called|segfault|segmentation)\b",
            re.IGNORECASE,
        ),
    ),
    ("warning", re.compile(r"\b\w*warn(ing)?\b", re.IGNORECASE)),
)
"""What a line's level is guessed by, which nobody has said. The first is how our own commands end (cli/fail.py)."""


def parts(fields: dict[str, Any]) -> list[bytes]:
    """The fields as JSON objects of a line each, at most LONGEST bytes with the line's end.

    Where one would be longer, its longest text is divided over several, which have the rest in common and `part` and
    `parts` besides.
    """
    line = _dumped(fields)
    if len(line) <= LONGEST:
        return [line]
    divided = list(_divided(fields, LONGEST - 40))
    return [_dumped({**one, "part": number, "parts": len(divided)}) for number, one in enumerate(divided, 1)]


def _dumped(fields: dict[str, Any]) -> bytes:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode(errors="backslashreplace").replace(b"\x7f", b"\\u007f") + b"\n"


def _divided(fields: dict[str, Any], room: int) -> Iterator[dict[str, Any]]:
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    longest = max(texts, key=lambda name: len(texts[name]), default="")
    if len(_dumped(fields)) <= room or len(texts.get(longest, "")) <= PART:
        yield fields
        return
    text = texts[longest]
    middle = text.rfind("\n", len(text) // 4, len(text) // 2) + 1 or len(text) // 2
    yield from _divided({**fields, longest: text[:middle]}, room)
    yield from _divided({**fields, longest: text[middle:]}, room)


def write_all(file: int, line: bytes) -> None:
    """Raises OSError. Waits where somebody has made the terminal or pipe that all share one that doesn't wait."""
    while line:
        try:
            line = line[os.write(file, line) :]
        except BlockingIOError:
            select.select([], [file], [])


class Output:
    """What one process prints, or several that share a pipe, as JSON lines.

    A line that is a log line already stays as it is. Lines that belong together become one: those that are indented and
    the one above them, as of a stack; Python's traces, with the line that ends them; vLLM's records of several lines.
    """

    def __init__(self, process: str) -> None:
        self._process = process
        self._rest = b""
        self._text: list[str] = []
        self._record: dict[str, Any] | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) >= BUFFER:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            yield from self._line(line)

    def pause(self) -> Iterator[bytes]:
        """Nothing has come for a while: what has begun is taken for complete, but for half a line."""
        text, self._text = self._text, []
        if text:
            stamp = _stamp(_level(text[0]), "output", self._process)
            yield from parts({**stamp, "message": "\n".join(text)})
        record, self._record = self._record, None
        if record is not None:
            yield from parts(record)

    def end(self) -> Iterator[bytes]:
        if self._rest:
            rest, self._rest = self._rest, b""
            yield from self._line(rest)
        yield from self.pause()

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"{") and _is_logged(line):
            yield from self.pause()
            yield line + b"\n"
            return
        goes_on = line.endswith(b"\r")  # vLLM ends the lines of one record so, but for the last
        # What a progress bar has written over is gone, as it would be on a screen.
        text = COLORS.sub("", line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))
        if self._text and (not text or text.startswith((" ", "\t"))) and len(self._text) < MOST_LINES:
            self._text.append(text)
        elif self._text and self._text[0].startswith(TRACE):
            self._text.append(text)
            yield from self.pause()
        elif (of_vllm := VLLM.fullmatch(text)) is not None:
            yield from self._of_vllm(of_vllm, goes_on=goes_on)
        else:
            yield from self.pause()
            if text.strip():
                self._text.append(text)

    def _of_vllm(self, found: "re.Match[str]", *, goes_on: bool) -> Iterator[bytes]:
        record = self._record
        if record is not None and record["pid"] == int(found["pid"]):
            record["message"] += "\n" + found["text"]
        else:
            yield from self.pause()
            self._record = {
                **_stamp(found["level"].lower(), "vllm", found["process"]),
                "pid": int(found["pid"]),
                "at": found["at"],
                "message": found["text"],
            }
        if not goes_on:
            yield from self.pause()


def _stamp(level: str, logger: str, process: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": now, "level": level, "logger": logger, "process": process, "request_id": "-"}


def _is_logged(line: bytes) -> bool:
    try:
        fields = json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and {"time", "level", "message"} <= fields.keys()


def _level(text: str) -> str:
    return next((level for level, words in WORDS if words.search(text)), "info")


class Relay:
    """Reads pipes until none is open any more, and writes lines to `out`. control: from where new pipes come."""

    def __init__(self, control: socket.socket, out: int) -> None:
        self._control: socket.socket | None = control
        self._out = out
        self._pipes: dict[int, Output] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def run(self) -> None:
        while self._control is not None or self._pipes:
            ready = self._selector.select(IDLE if self._pipes else None)
            for key, _ in ready:
                if self._control is not None and key.fileobj is self._control:
                    self._listen(self._control)
                else:
                    self._read(key.fd)
            if not ready:
                for output in self._pipes.values():
                    self._write(output.pause())

    def _listen(self, control: socket.socket) -> None:
        try:
            message, ends, _, _ = socket.recv_fds(control, 256, 1)
        except OSError:
            message, ends = b"", []
        if message.startswith(PASS):
            for end in ends:
                os.set_blocking(end, False)
                self._pipes[end] = Output(message.removeprefix(PASS).decode(errors="replace"))
                self._selector.register(end, selectors.EVENT_READ)
        elif message == FLUSH:
            for end in list(self._pipes):
                while self._read(end):
                    pass
            for output in self._pipes.values():
                self._write(output.end())
            with contextlib.suppress(OSError):
                control.send(DONE)
        elif not message:  # the front end has ended
            self._selector.unregister(control)
            self._control = None

    def _read(self, end: int) -> bool:
        """Whether there was something to read."""
        try:
            data = os.read(end, BUFFER)
        except BlockingIOError:
            return False
        if data:
            self._write(self._pipes[end].feed(data))
            return True
        self._write(self._pipes.pop(end).end())
        self._selector.unregister(end)
        os.close(end)
        return False

    def _write(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            with contextlib.suppress(OSError):  # nobody reads the log any more: those who write must not stand still
                write_all(self._out, line)


def main() -> None:
    """`relay.py CONTROL OUT`: two numbers of open files."""
    # It ends with the last who prints; a signal is for them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    Relay(control, int(sys.argv[2])).run()


if __name__ == "__main__":
    main()
