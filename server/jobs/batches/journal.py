"""What has been done of a batch: two files that are only added to, and that its owner gets in the end."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from server.jobs.batches.executor import LineResult
from server.jobs.batches.usage import BatchUsage
from server.storage.held_files import telling_full

EXPIRED = "batch_expired"
"""The code of lines that got no answer because the batch's time was over."""


class ForeignJournal(Exception):
    """The file is there and holds something else than answers to these requests."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of a line. result: its answer; None where it got none, and then error is why: a code and words.

    line: its number in the input file, from 1.
    """

    line: int
    custom_id: str
    result: LineResult | None
    error: tuple[str, str] | None = None

    @property
    def succeeded(self) -> bool:
        return self.result is not None and 200 <= self.result.status_code < 300


class Journal:
    """The truth about which lines are done. Invariants: a line stands in one of the two files, and once; each file
    consists of whole lines as the OpenAI API defines them, in the order in which they were done.

    A line's number is read back from its id, `batch_req_<name>_<number>`, so nothing else needs to be kept. The last
    lines that a crash has torn are cut off when the files are opened. All methods but the counts block: they are for
    threads, one at a time.
    """

    def __init__(self, output: Path, errors: Path, name: str) -> None:
        """name: of the batch, in the ids: letters, digits, `-`. The files are made if they are not there.

        Raises ForeignJournal, StorageFull, OSError.
        """
        self._prefix = f'{{"id":"batch_req_{name}_'.encode()
        self._head = re.compile(re.escape(self._prefix) + rb'([1-9][0-9]{0,17})",')
        self._done = bytearray()
        self.completed = 0
        self.failed = 0
        self.expired = False
        """Whether a line got no answer because the batch's time was over."""
        self.usage = BatchUsage()
        self._output = _Part(output, self._output_read)
        try:
            self._errors = _Part(errors, self._errors_read)
        except BaseException:
            self._output.close()
            raise

    def __contains__(self, line: int) -> bool:
        """Whether it is done."""
        return line < len(self._done) and bool(self._done[line])

    @property
    def done(self) -> int:
        return self.completed + self.failed

    def write(self, entries: Iterable[Entry]) -> None:
        """Add lines; those that are done already are left out. Afterwards they are done, whatever ends the process.

        Raises StorageFull, OSError: then some may be done, and the others can be written later.
        """
        new = {entry.line: entry for entry in entries if entry.line not in self}
        succeeded = [entry for entry in new.values() if entry.succeeded]
        others = [entry for entry in new.values() if not entry.succeeded]
        self._add(self._output, succeeded)
        self._add(self._errors, others)

    def sync(self) -> None:
        """What was written survives a loss of power too. Raises StorageFull, OSError."""
        self._output.sync()
        self._errors.sync()

    def close(self) -> None:
        self._output.close()
        self._errors.close()

    def _add(self, part: "_Part", entries: Sequence[Entry]) -> None:
        if not entries:
            return
        lines = [self._line(entry) for entry in entries]
        part.append(b"".join(line for line, _ in lines))
        for entry, (_, usage) in zip(entries, lines, strict=True):
            self._mark(entry.line)
            if entry.succeeded:
                self.completed += 1
                self.usage.add(usage)
            else:
                self.failed += 1
                self.expired = self.expired or _is_expiry(entry.error)

    def _line(self, entry: Entry) -> tuple[bytes, Any]:
        """As it is written, and what its answer says of its use."""
        usage = None
        response = error = b"null"
        if entry.result is not None:
            body, usage = _embedded(entry.result.body)
            response = b'{"status_code":%d,"request_id":%b,"body":%b}' % (
                entry.result.status_code,
                orjson.dumps(entry.result.request_id),
                body,
            )
        if entry.error is not None:
            code, message = entry.error
            error = orjson.dumps({"code": code, "message": message})
        line = b'%b%d","custom_id":%b,"response":%b,"error":%b}\n' % (
            self._prefix,
            entry.line,
            orjson.dumps(entry.custom_id),
            response,
            error,
        )
        return line, usage

    def _output_read(self, line: bytes) -> bool:
        data = self._read(line)
        if data is None:
            return False
        self.completed += 1
        response = data.get("response")
        body = response.get("body") if isinstance(response, dict) else None
        self.usage.add(body.get("usage") if isinstance(body, dict) else None)
        return True

    def _errors_read(self, line: bytes) -> bool:
        data = self._read(line)
        if data is None:
            return False
        error = data.get("error")
        self.failed += 1
        self.expired = self.expired or (isinstance(error, dict) and _is_expiry((str(error.get("code")), "")))
        return True

    def _read(self, line: bytes) -> dict[str, Any] | None:
        """A line that is there already, which is then done. None if it is torn. Raises ForeignJournal."""
        try:
            data = orjson.loads(line) if line.endswith(b"\n") else None
        except orjson.JSONDecodeError:
            data = None
        if data is None:
            # A loss of power may leave zeros. What else is no line of ours is nothing that may be cut off.
            ours = line.startswith(self._prefix) or self._prefix.startswith(line) or b"\0" in line
            if not ours:
                raise ForeignJournal
            return None
        head = self._head.match(line)
        if head is None or not isinstance(data, dict) or int(head[1]) in self:
            raise ForeignJournal
        self._mark(int(head[1]))
        return data

    def _mark(self, line: int) -> None:
        if line >= len(self._done):
            self._done.extend(bytes(max(line + 1 - len(self._done), len(self._done))))
        self._done[line] = 1


class _Part:
    """One of the two files. size: of what is whole in it."""

    def __init__(self, path: Path, take: Callable[[bytes], bool]) -> None:
        """take: is given each whole line that is there; False for one that is torn, from which on all is cut off."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._torn = False
        self.size = 0
        try:
            with os.fdopen(os.dup(self._file), "rb", buffering=2**20) as reader:
                for line in reader:
                    if not take(line):
                        break
                    self.size += len(line)
            os.ftruncate(self._file, self.size)
        except BaseException:
            os.close(self._file)
            raise
        self._synced = not self.size  # whoever has written it may have ended before it did that

    def append(self, data: bytes) -> None:
        """All of it, or nothing. Raises StorageFull, OSError."""
        self._synced = False
        written = 0
        if self._torn:
            self._cut()
        view = memoryview(data)
        try:
            with telling_full():
                while written < len(data):
                    written += os.pwrite(self._file, view[written:], self.size + written)
        except BaseException:
            self._torn = True
            self._cut()
            raise
        self.size += written

    def _cut(self) -> None:
        os.ftruncate(self._file, self.size)
        self._torn = False

    def sync(self) -> None:
        if self._synced:
            return
        with telling_full():
            os.fdatasync(self._file)
        self._synced = True

    def close(self) -> None:
        os.close(self._file)


def _embedded(body: bytes) -> tuple[bytes, Any]:
    """An answer as it stands within a line, and what it says of its use. What is no JSON is a string."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.dumps(body.decode(errors="replace")), None
    usage = data.get("usage") if isinstance(data, dict) else None
    return (orjson.dumps(data) if b"\n" in body or b"\r" in body else body.strip()), usage


def _is_expiry(error: tuple[str, str] | None) -> bool:
    return error is not None and error[0] == EXPIRED
