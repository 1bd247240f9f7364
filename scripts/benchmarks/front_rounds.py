"""Rounds of `scripts/bench front`: every load on every server in turn, while the others stand still."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from scripts.benchmarks.front_cases import PACE, PACED_WARM_UP, WARM_UP, Case, requests
from scripts.benchmarks.front_client import Order
from scripts.benchmarks.front_figures import Sample, Seen
from scripts.benchmarks.front_sides import Tree, payer, side
from scripts.benchmarks.load import busy_seconds, wait_for_quiet
from scripts.benchmarks.processes import Server, processor_seconds, serving
from scripts.benchmarks.sides import REPOSITORY

LIMIT = 120.0
"""Longest time that one load may take, in seconds."""
SETTLING = 0.3
"""Seconds after the last answer, in which the server settles and cleans up what it answered: part of its price."""

Tell = Callable[[str], None]


class LoadError(Exception):
    """A load could not be seen through; the message says why."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A running server of one side, with keys or without. key: to send with each request, if any."""

    tree: Tree
    auth: str
    server: Server
    key: str | None


def measure(
    trees: Sequence[Tree],
    modes: Sequence[str],
    cases: Sequence[Case],
    rounds: int,
    folder: Path,
    tell: Tell,
    patience: float,
) -> list[Sample]:
    """Every round of every load. Sides that are compared follow each other, in an order that turns round by round.

    patience: longest wait in seconds, before each load, for others to leave the machine alone.

    Raises StartError, LoadError.
    """
    samples: list[Sample] = []
    for paced in (False, True):
        loads = [case for case in cases if case.paced == paced]
        if not loads:
            continue
        with ExitStack() as stack:
            lanes = [
                stack.enter_context(lane(tree, auth, folder, tell, paced=paced)) for auth in modes for tree in trees
            ]
            for number in range(rounds):
                for case in loads:
                    for auth in modes:
                        beside = [one for one in lanes if one.auth == auth]
                        for one in beside if number % 2 == 0 else reversed(beside):
                            if patience:
                                wait_for_quiet([psutil.Process()], patience)
                            figures = drive(one, case)
                            samples.append(Sample(one.tree.name, auth, case.name, number, figures))
                            tell(f"round {number + 1}, {case}, {one.server.side.name}: {_line(case, figures)}")
    return samples


@contextmanager
def lane(
    tree: Tree, auth: str, folder: Path, tell: Tell, *, paced: bool = False, profile: Path | None = None
) -> Iterator[Lane]:
    """A server that is ready and warm, and stands still for now. Raises StartError, LoadError."""
    started = side(tree, auth, folder, paced=paced, profile=profile)
    key = payer(started) if auth == "keys" else None
    with serving(started, folder) as server:
        made = Lane(tree, auth, server, key)
        for case in PACED_WARM_UP if paced else WARM_UP:
            drive(made, case)
        tell(f"{server.side.name} ({tree.revision}) was ready after {server.start_seconds:.1f} s")
        server.freeze()
        yield made


def drive(lane: Lane, case: Case) -> dict[str, float]:
    """The figures of one load. The server, which may stand still, is thawed for it and stands still afterwards.

    Raises LoadError.
    """
    server = lane.server
    order = Order(
        port=urlsplit(server.url).port or 0,
        requests=requests(case, lane.key),
        connections=case.connections,
        answers=case.answers,
        events=case.events,
        pace=PACE if case.paced else 0.0,
        ramp=case.ramp,
        limit=LIMIT,
    )
    server.thaw()
    try:
        with _client(order) as client:
            served, ours, busy, begun = server.processor_seconds(), _own_seconds(), busy_seconds(), time.monotonic()
            waited = _waited(server)
            seen = _seen(client)
            waited = _waited(server) - waited
            time.sleep(SETTLING)
            seconds, spent = time.monotonic() - begun, server.processor_seconds() - served
            elsewhere = busy_seconds() - busy - spent - seen.processor - (_own_seconds() - ours)
    finally:
        server.freeze()
    return seen.figures(spent, waited, max(0.0, elsewhere / (seconds * (os.cpu_count() or 1))))


@contextmanager
def _client(order: Order) -> Iterator[subprocess.Popen[str]]:
    """A client that has connected, and is ended with the block."""
    command = [sys.executable, "-m", "scripts.benchmarks.front_client"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as client:
        try:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(json.dumps(asdict(order)) + "\n")
            client.stdin.flush()
            if client.stdout.readline() != "ready\n":
                raise LoadError(_why(client))
            yield client
        finally:
            client.kill()


def _seen(client: subprocess.Popen[str]) -> Seen:
    """Let the client begin, and wait for what it saw."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("go\n")
    client.stdin.flush()
    line = client.stdout.readline()
    if not line:
        raise LoadError(_why(client))
    return Seen.read(json.loads(line))


def _why(client: subprocess.Popen[str]) -> str:
    _, said = client.communicate(timeout=LIMIT)
    return "\n".join(said.strip().splitlines()[-3:]) or "the client ended"


def _waited(server: Server) -> float:
    """Seconds that the server's main thread, which runs its event loop, stood in line for a core since its start."""
    return int(Path(f"/proc/{server.pid}/schedstat").read_text().split()[1]) / 1e9


def _own_seconds() -> float:
    return processor_seconds(psutil.Process())


def _line(case: Case, figures: dict[str, float]) -> str:
    """The first two figures, which matter most."""
    return ", ".join(f"{name} {figures[figure]:.1f}" for figure, name in list(case.labels.items())[:2])
