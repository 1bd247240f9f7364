"""What `scripts/bench growth` found: a row for each load, beside what the machine can do at most. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from statistics import median, quantiles

from scripts.benchmarks.roofline import Machine, Shape, least_prompts, least_step

NEAR = 1.25
"""Times the least that the machine could take, up to which its limit counts as reached."""
BUSY = 0.95
"""Share of all cores from which on the processor counts as the limit."""


@dataclass(frozen=True, slots=True)
class Point:
    """One load. at_once: requests at the same time; prompt, answer: tokens of each, 0 for what has none.

    latencies: seconds of each request of all rounds, to its end; firsts: to its first token; further: median seconds of
    each further token. walls, processor: seconds of each round, of the clock and of all processes of the server; done:
    units of work in a round, such as tokens; memory: most bytes that the server's processes had to themselves.
    """

    what: str
    at_once: int
    latencies: Sequence[float]
    walls: Sequence[float]
    processor: Sequence[float]
    done: float
    memory: int
    cores: int
    prompt: int = 0
    answer: int = 0
    firsts: Sequence[float] = ()
    further: float | None = None

    @property
    def busy(self) -> float:
        """Share of all cores that the server had, 0–1."""
        return median(self.processor) / (median(self.walls) * self.cores)

    @property
    def throughput(self) -> float:
        """Units of work a second."""
        return self.done / median(self.walls)


@dataclass(frozen=True, slots=True)
class Least:
    """What a load of chats must take at least: a decoding step, what sets it, and the whole load, in seconds."""

    step: float
    bound: str
    whole: float


def in_a_step(point: Point) -> float:
    """With how many others, itself included, a token was made on the mean: between its first token and its end a stream
    is in every step. Requests come all at once, and as many in a round as there are streams, so their times have one
    beginning; who waits for a place or is read meanwhile is in no decoding step."""
    streams, weighed = 0.0, 0.0
    for begun in range(0, len(point.firsts), point.at_once):
        part = slice(begun, begun + point.at_once)
        changes = sorted([*((at, 1) for at in point.firsts[part]), *((at, -1) for at in point.latencies[part])])
        now = 0
        for (at, change), (until, _) in pairwise(changes):
            now += change
            streams += now * (until - at)
            weighed += now * now * (until - at)
    return weighed / streams if streams else 1.0


def least(machine: Machine, shape: Shape, point: Point, sequences: int) -> Least:
    """sequences: most that are decoded in one step; more of them come in turns.

    The step is of as many streams as were in one. The whole is the reading of every prompt and, in each turn, a step
    for every further token: as if the two never shared a step, since each has a limit of its own.
    """
    context = point.prompt + point.answer // 2
    step, bound = least_step(machine, shape, in_a_step(point), context)
    full, _ = least_step(machine, shape, min(point.at_once, sequences), context)
    turns = ceil(point.at_once / sequences)
    whole = least_prompts(machine, shape, point.at_once, point.prompt) + turns * (point.answer - 1) * full
    return Least(step, bound, whole)


def chat_table(points: Sequence[Point], machine: Machine, shape: Shape, sequences: int) -> str:
    head = ["streams", "prompt, tokens", "first token, s: median, 95 %", "whole answer, s: median, 95 %"]
    head += ["tok/s", "further token, ms", "least, ms", "by", "times the least", "whole load, times the least"]
    head += ["processor, ms a token", "cores busy", "memory, MiB", ""]
    lines = [_line(head), _rule(head)]
    for point in points:
        floor = least(machine, shape, point, sequences)
        together = in_a_step(point)
        step, whole = (point.further or 0.0) / floor.step, median(point.walls) / floor.whole
        lines.append(
            _line(
                [
                    f"{point.at_once}" + (f" ({together:.1f} in a step)" if point.at_once > 1 else ""),
                    f"{point.prompt:,}",
                    _times(point.firsts),
                    _times(point.latencies),
                    f"{point.throughput:.1f}",
                    f"{1000 * (point.further or 0.0):.1f}",
                    f"{1000 * floor.step:.1f}",
                    floor.bound,
                    f"{step:.2f}",
                    f"{whole:.2f}",
                    f"{1000 * median(point.processor) / point.done:.2f}",
                    f"{point.busy:.0%}",
                    f"{point.memory >> 20:,}",
                    _limit(min(step, whole), floor.bound, point),
                ]
            )
        )
    return "\n".join(lines)


def media_table(points: Sequence[Point], unit: str) -> str:
    """unit: what `done` counts."""
    head = ["", "at once", "seconds: median, 95 %", f"{unit} a second", f"processor, s for {unit}", "cores busy"]
    head += ["memory, MiB", ""]
    cells = [
        [
            point.what,
            str(point.at_once),
            _times(point.latencies),
            f"{point.throughput:.2f}",
            f"{median(point.processor) / point.done:.3f}",
            f"{point.busy:.0%}",
            f"{point.memory >> 20:,}",
            _limit(None, "", point),
        ]
        for point in points
    ]
    return "\n".join([_line(head), _rule(head), *map(_line, cells)])


def machine_line(machine: Machine, shape: Shape | None = None) -> str:
    line = (
        f"Measured on {machine.device}: {machine.read / 1e9:.1f} GB/s read, {machine.triad / 1e9:.1f} GB/s in STREAM's "
        f"triad, {machine.flops / 1e9:.0f} GFLOP/s in a product of matrices in {machine.dtype}."
    )
    if shape is not None:
        line += (
            f" Each step of the chat model reads {shape.parameters / 1e6:.1f} million numbers, "
            f"{shape.width * shape.parameters / 1e6:.0f} MB, and {shape.width * shape.kv_numbers:,} bytes of keys and "
            "values for each token in the cache."
        )
    return line


def _limit(times: float | None, bound: str, point: Point) -> str:
    if times is not None and times <= NEAR:
        return f"limit: {bound}"
    return "limit: all cores busy" if point.busy >= BUSY else ""


def _times(seconds: Sequence[float]) -> str:
    """Median and 95th percentile."""
    if len(seconds) < 2:
        return f"{seconds[0]:.3f}"
    return f"{median(seconds):.3f}, {quantiles(seconds, n=20, method='inclusive')[-1]:.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(head: Sequence[str]) -> str:
    return "|---" * len(head) + "|"
