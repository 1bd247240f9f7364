"""Servers under measurement: started, waited for, frozen while another is measured, and ended with all they began."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

GRACE = 30.0
"""Seconds a server gets to end by itself."""
LONGEST_START = 300.0
POLL = 0.1


class StartError(Exception):
    """A server did not become ready; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the servers that are compared. `{port}` in the command is replaced; ready_path answers 200 when it is."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready_path: str
    model: str


class Server:
    """A started server. Its processes are known by id and start time, so that only they are ever signalled."""

    def __init__(self, side: Side, process: psutil.Popen, port: int, log: Path) -> None:
        self.side = side
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.start_seconds = 0.0
        self._process = process
        self._known: set[psutil.Process] = {process}

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def key(self) -> str | None:
        """The API key that a first start prints."""
        words = self.log.read_text(errors="replace").split()
        return next((word for word in words if word.startswith("sk-sage-")), None)

    def wait_until_ready(self, begun: float) -> None:
        """Raises StartError."""
        with httpx.Client(trust_env=False, timeout=5) as client:
            while True:
                if self.ended:
                    raise StartError(f"{self.side.name} ended while it started:\n{self.tail()}")
                with contextlib.suppress(httpx.TransportError):
                    answer = client.get(f"{self.url}{self.side.ready_path}")
                    if answer.status_code == httpx.codes.OK:
                        self.start_seconds = time.monotonic() - begun
                        return
                    if '"failed"' in answer.text:  # a model of ours: it would be tried again without end
                        raise StartError(f"{self.side.name} can't load its model:\n{self.tail()}")
                if time.monotonic() - begun > LONGEST_START:
                    raise StartError(f"{self.side.name} is not ready after {LONGEST_START:g} s:\n{self.tail()}")
                time.sleep(POLL)

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if f"path={self.side.ready_path}" not in line][-15:])

    def tree(self) -> set[psutil.Process]:
        """The server and every process below it that is alive."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._known |= {self._process, *self._process.children(recursive=True)}
        self._known = {process for process in self._known if process.is_running()}
        return self._known

    def processor_seconds(self) -> float:
        return sum(map(processor_seconds, self.tree()))

    def freeze(self) -> None:
        """Stop the whole tree where it is: even an idle engine may poll."""
        frozen(self.tree())

    def thaw(self) -> None:
        thawed(self.tree())

    def stop(self) -> None:
        """SIGTERM to the server; what is left of its tree after the grace is killed, each process by its id."""
        tree = self.tree()
        self.thaw()
        _signal({self._process}, signal.SIGTERM)
        with contextlib.suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        _, left = psutil.wait_procs(tree, timeout=2)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


def processor_seconds(process: psutil.Process) -> float:
    """User and system time of a process, 0 once it is gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def begin(side: Side, folder: Path) -> Server:
    """Start `side` on a free port; its log lies in `folder`. Whoever calls this stops it."""
    port = _free_port()
    log = folder / f"{side.name.replace(' ', '-').replace(',', '')}.log"
    command = [word.replace("{port}", str(port)) for word in side.command]
    with log.open("w") as output:
        process = psutil.Popen(
            command,
            env=dict(side.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for this program, which then ends its servers in order.
            start_new_session=True,
        )
    return Server(side, process, port, log)


@contextmanager
def serving(side: Side, folder: Path) -> Iterator[Server]:
    """`side`, ready, for the length of the block. Its log lies in `folder`. Raises StartError."""
    begun = time.monotonic()
    server = begin(side, folder)
    try:
        server.wait_until_ready(begun)
        yield server
    finally:
        server.stop()


def alive(pids: Sequence[int]) -> set[psutil.Process]:
    """The processes of these ids that have not ended."""
    found = set[psutil.Process]()
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(psutil.Process(pid))
    return found


@contextmanager
def paused(pids: Sequence[int]) -> Iterator[None]:
    """These processes, and only these, stand still for the length of the block."""
    processes = alive(pids)
    try:
        _signal(processes, signal.SIGSTOP)
        yield
    finally:
        _signal(processes, signal.SIGCONT)


@contextmanager
def spinner(python: str, wanted: bool) -> Iterator[psutil.Popen | None]:
    """A neighbour that keeps one core busy, if `wanted`."""
    if not wanted:
        yield None
        return
    process = psutil.Popen([python, "-c", "while True: pass"], start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def frozen(processes: set[psutil.Process]) -> None:
    """Stop them where they are."""
    _signal(processes, signal.SIGSTOP)


def thawed(processes: set[psutil.Process]) -> None:
    """Let them go on."""
    _signal(processes, signal.SIGCONT)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _signal(processes: set[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
