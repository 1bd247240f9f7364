"""What a run's figures are, and what may be said about several: medians, spreads, ratios. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of the load generator. Rates in tokens a second, times in milliseconds.

    ttft: from the request to the first token of the answer, median over the requests. itl: time for each further
    token, median over the requests. gap_p99: 99th percentile of the waits between two pieces of an answer.
    """

    throughput: float
    ttft: float
    itl: float
    gap_p99: float


LABELS: Mapping[str, str] = {
    "throughput": "throughput, tok/s",
    "ttft": "first token, ms",
    "itl": "each further token, ms",
    "gap_p99": "99% of gaps below, ms",
}


def from_harness(result: Mapping[str, Any]) -> Figures:
    """The figures of a detailed result of `vllm.benchmarks.serve`, which must hold every request as completed.

    The harness stops its clock for the first token at the first chunk with a choice, which for the chat API names
    the role only. A server may send that before it has looked at the prompt, so it is no token; the second chunk is.

    Raises ValueError if a request failed, or an answer has no token.
    """
    errors = [error for error in result["errors"] if error]
    if errors or result["completed"] != result["num_prompts"]:
        raise ValueError(f"{result['completed']} of {result['num_prompts']} requests were answered: {errors[:1]}")
    if silent := sum(not waits for waits in result["itls"]):
        # An engine that dies ends its streams, which the harness takes for short answers.
        raise ValueError(f"{silent} of {result['num_prompts']} answers ended before their first token")
    first = [ttft + waits[0] for ttft, waits in zip(result["ttfts"], result["itls"], strict=True)]
    each = [
        sum(waits[1:]) / (tokens - 1)
        for waits, tokens in zip(result["itls"], result["output_lens"], strict=True)
        if tokens > 1
    ]
    gaps = [wait for waits in result["itls"] for wait in waits[1:]]
    return Figures(
        throughput=float(result["output_throughput"]),
        ttft=1000 * median(first),
        itl=1000 * median(each),
        gap_p99=1000 * quantiles(gaps, n=100, method="inclusive")[-1],
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds and how far they lie apart."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Raises ValueError if there is no value."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError("no round was measured")
        return cls(median(ordered), ordered[0], ordered[-1], len(ordered))

    def shown(self, digits: int = 1) -> str:
        """The median, and in brackets the lowest and the highest, where there were several rounds."""
        if self.rounds == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Times:
    """Median and 99th percentile, in milliseconds."""

    median: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Times":
        """Of two values or more."""
        return cls(1000 * median(seconds), 1000 * quantiles(seconds, n=100, method="inclusive")[-1])

    def shown(self) -> tuple[str, str]:
        """Both, as a table has them."""
        return f"{self.median:.2f}", f"{self.p99:.2f}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Round by round, since two runs that follow each other share the machine's mood.

    Raises ValueError if the rounds are not pairs.
    """
    return Spread.of(a / b for a, b in zip(ours, theirs, strict=True))


def verdict(gain: Spread, margin: float = 0.02) -> str:
    """What a ratio of throughputs says: better or worse by more than the margin, in every round, or neither."""
    if gain.low > 1 + margin:
        return "faster in every round"
    if gain.high < 1 - margin:
        return "slower in every round"
    if 1 - margin <= gain.median <= 1 + margin:
        return f"the same within {margin:.0%}"
    return "not clear: the rounds contradict each other"
