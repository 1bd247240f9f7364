"""Several servers under the same load, round by round: one works while the others are frozen."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from scripts.benchmarks.load import DISTURBED, Load, Sample, measure, wait_for_quiet
from scripts.benchmarks.processes import Server, Side, alive, paused, serving, spinner

TRIES = 3
"""How often a round is measured at most until nobody else disturbs it."""

Tell = Callable[[str], None]


def compare(
    sides: Sequence[Side],
    loads: Sequence[Load],
    rounds: int,
    folder: Path,
    tell: Tell,
    *,
    tokenizer: Path,
    busy_neighbour: bool = False,
    pause: Sequence[int] = (),
    patience: float = 0.0,
) -> list[Sample]:
    """Every side under every load in each round; the order turns round by round, so that a drift favours nobody.

    pause: ids of other processes that are stopped while a round is measured, and go on between rounds.
    patience: longest wait in seconds, before each round, for others to leave the machine alone.

    Raises StartError, or ValueError if a request failed.
    """
    samples: list[Sample] = []
    with ExitStack() as stack:
        servers: list[Server] = []
        for side in sides:
            tell(f"starting {side.name}")
            server = stack.enter_context(serving(side, folder))
            tell(f"{side.name} was ready after {server.start_seconds:.1f} s")
            server.freeze()
            servers.append(server)
        for server in servers:
            with _alone(server):
                warm = max(load.streams for load in loads)
                first = Load(streams=warm, requests=warm, output_tokens=32, raw=loads[0].raw)
                measure(server, first, 1_000_000, tokenizer)
        neighbour = stack.enter_context(spinner(sys.executable, busy_neighbour))
        for number in range(rounds):
            for load in loads:
                for server in servers if number % 2 == 0 else reversed(servers):
                    for attempt in range(TRIES):
                        seed = (number * TRIES + attempt) * 1000 + load.streams
                        known = [psutil.Process(), *alive(pause), *([neighbour] if neighbour else [])]
                        wait_for_quiet(known, patience)
                        with paused(pause), _alone(server):
                            figures, others = measure(server, load, seed, tokenizer, neighbour)
                        disturbed = others > DISTURBED
                        tell(
                            f"round {number + 1}, {load}, {server.side.name}: {figures.throughput:.1f} tok/s"
                            + (f"; others took {others:.0%} of the machine" if disturbed else "")
                        )
                        if not disturbed:
                            break
                    samples.append(Sample(server.side.name, load, number, figures, others))
    return samples


@contextmanager
def _alone(server: Server) -> Iterator[None]:
    server.thaw()
    try:
        yield
    finally:
        server.freeze()


def start_times(sides: Sequence[Side], rounds: int, folder: Path, tell: Tell) -> dict[str, list[float]]:
    """Seconds from the start of each side's process until it is ready, in each round. Raises StartError."""
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            with serving(side, folder) as server:
                times[side.name].append(server.start_seconds)
            tell(f"round {number + 1}, {side.name}: {times[side.name][-1]:.1f} s")
    return times


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for data, logs and configs, gone afterwards unless SAGEHOLD_BENCH_KEEP is set."""
    if kept := os.environ.get("SAGEHOLD_BENCH_KEEP"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
        return
    with tempfile.TemporaryDirectory(prefix="sagehold-bench-") as folder:
        yield Path(folder)
