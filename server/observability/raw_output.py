"""What this process and its children print, led into the relay (relay.py) that makes JSON lines of it."""

import atexit
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from server.observability import relay

PATIENCE = 2.0
"""Seconds that the end of the process waits for what was printed to be written."""
PIPES = "_SAGEHOLD_OUTPUT"
"""In the environment of the fork server: where it finds its pipe. multiprocessing lets it inherit no further file."""


class RawOutput:
    """Leads file descriptors 1 and 2 into a relay, for good. To be made once, before there are threads.

    stdout, stderr: where they led before.
    """

    def __init__(self) -> None:
        self.stdout, self.stderr = os.dup(1), os.dup(2)
        self._offered: dict[str, int] = {}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._relay = subprocess.Popen(
                # Nothing is imported but the standard library: it is there in an instant, and stays small.
                [sys.executable, "-I", "-S", relay.__file__, str(theirs.fileno()), str(self.stderr)],
                pass_fds=[theirs.fileno(), self.stderr],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        sys.stdout.flush()
        sys.stderr.flush()
        end = self._pipe("server")
        os.dup2(end, 1)
        os.dup2(end, 2)
        os.close(end)
        atexit.register(self.flush)

    def _pipe(self, process: str) -> int:
        """The end for writing of a new pipe, by whose name its lines go."""
        reading, writing = os.pipe()
        try:
            socket.send_fds(self._control, [relay.PASS + process.encode()[:200]], [reading])
        except OSError:  # the relay is gone, and with it what is printed; that must not end the server
            os.close(writing)
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        finally:
            os.close(reading)
        return writing

    @contextmanager
    def of(self, process: str) -> Generator[int, None, None]:
        """A pipe for a child that is started in the block."""
        end = self._pipe(process)
        try:
            yield end
        finally:
            os.close(end)

    def offer(self, process: str) -> int:
        """As `of`, for a child that will fetch it: one pipe a name, which stays open."""
        if process not in self._offered:
            self._offered[process] = self._pipe(process)
        return self._offered[process]

    def flush(self) -> None:
        """Return when the relay has written what was printed so far, but after PATIENCE seconds at the latest."""
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            self._control.settimeout(PATIENCE)
            self._control.send(relay.FLUSH)
            self._control.recv(16)


_output: RawOutput | None = None


def capture() -> RawOutput:
    """The one of this process, made at the first call."""
    global _output  # noqa: PLW0603 - as there is one standard error
    if _output is None:
        _output = RawOutput()
    return _output


@contextmanager
def output_of(process: str) -> Generator[int | None, None, None]:
    """Where a child that is started in the block is to print; None for where this process does."""
    if _output is None:
        yield None
    else:
        with _output.of(process) as end:
            yield end


@contextmanager
def offered(process: str) -> Generator[None, None, None]:
    """For a child that can be given no file: what it needs to `take` a pipe lies in the environment for the block."""
    if _output is None:
        yield
        return
    os.environ[PIPES] = f"/proc/{os.getpid()}/fd/{_output.offer(process)}"
    try:
        yield
    finally:
        del os.environ[PIPES]


def take() -> None:
    """In the child: print into the pipe that was offered, if there is one."""
    place = os.environ.pop(PIPES, None)
    if place is None:
        return
    with contextlib.suppress(OSError):  # then it prints where its parent does
        end = os.open(Path(place), os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(end, 1)
        os.dup2(end, 2)
        os.close(end)
