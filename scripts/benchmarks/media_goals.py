"""What `scripts/bench media` compares, and the ratio that is aimed at: here for processors, in docs/gpu.md for GPUs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BEGIN, END = "<!-- goals: scripts/bench media reads what is between these lines -->", "<!-- end of the goals -->"
_ROW = re.compile(r"\|\s*`(?P<name>[a-z0-9-]+)`\s*\|\s*(?P<sign>[≥≤])\s*(?P<bound>[0-9.]+)\s*\|")


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that is to be reached: at least, or at most."""

    sign: Literal["≥", "≤"]
    bound: float

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"

    def verdict(self, ratio: float) -> str:
        """Whether the median of the rounds reaches it, and else by how much it is missed."""
        if ratio >= self.bound if self.sign == "≥" else ratio <= self.bound:
            return "met"
        return f"missed by {abs(ratio / self.bound - 1):.0%}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of `above` by those of `below`, each a measure and the side that took it.

    The ratio is told of this server, and where OURS is one of the sides also with the server beside it in its place.
    """

    name: str
    label: str
    above: tuple[str, str]
    below: tuple[str, str]


OURS, BESIDE, DIRECT, BATCHED = "this server", "beside", "direct", "batched"


def _faster(
    name: str, label: str, than: str = DIRECT, measure: str | None = None, theirs: str | None = None
) -> Comparison:
    """How many times as fast as a call of the library: its seconds by ours."""
    measure = measure or name
    return Comparison(name, label, (theirs or measure, than), (measure, OURS))


COMPARISONS = (
    _faster("picture", "one picture"),
    _faster("pictures-in-one", "8 pictures in one request"),
    _faster("pictures-at-once", "8 picture requests at once, by a batch of 8", theirs="pictures-in-one"),
    Comparison(
        "pictures-at-once-by-one",
        "8 picture requests at once, their time by that of one request for 8",
        ("pictures-at-once", OURS),
        ("pictures-in-one", OURS),
    ),
    _faster("hear-short", "5.5 s of speech, `low`"),
    _faster("hear-short-at-once", "8 × 5.5 s at once, by 8 calls in a row"),
    _faster("hear-long", "101 s of speech, `low`, by beam 1", measure="hear-long-whole", theirs="hear-long"),
    _faster(
        "hear-long-batched",
        "101 s of speech, `low`, by BatchedInferencePipeline",
        BATCHED,
        measure="hear-long-whole",
        theirs="hear-long",
    ),
    _faster("hear-at-once", "8 × 36 s at once, `low`, by BatchedInferencePipeline in a row", BATCHED),
    _faster("hear-first", "101 s of speech as a stream, `low`: first segment", measure="hear-long.first"),
    Comparison(
        "hear-first-beside",
        "first segment, by the server beside",
        ("hear-long.first", BESIDE),
        ("hear-long.first", OURS),
    ),
    Comparison(
        "hear-behind-beside",
        "5.5 s of speech behind a recording of 300 s, by the server beside",
        ("hear-short-behind-long", BESIDE),
        ("hear-short-behind-long", OURS),
    ),
    _faster("hear-high", "101 s of speech, `high`"),
    Comparison("high-by-low", "the same, its time by that of `low`", ("hear-high", OURS), ("hear-long-whole", OURS)),
    _faster("hear-again-high", "101 s of one stretch over and over, `high`"),
    Comparison(
        "again-high-by-low", "the same, its time by that of `low`", ("hear-again-high", OURS), ("hear-again", OURS)
    ),
    _faster("say-short-first", "a short text: first byte", measure="say-short.first"),
    _faster("say-short", "a short text: all of it"),
    _faster("say-at-once", "8 short texts at once, by 8 calls in a row", measure="say-short-at-once"),
    _faster("say-long-first", "a long text: first byte", measure="say-long.first"),
    _faster("say-long", "a long text: all of it"),
)

AIMS: Mapping[str, Goal] = {
    "picture": Goal("≥", 0.98),
    "pictures-at-once-by-one": Goal("≤", 1.15),
    "hear-long-batched": Goal("≥", 1.0),
    "hear-at-once": Goal("≥", 1.2),
    "hear-first-beside": Goal("≥", 1.0),
    "hear-behind-beside": Goal("≥", 1.0),
    "high-by-low": Goal("≤", 3.0),
    "again-high-by-low": Goal("≤", 3.0),
    "say-at-once": Goal("≥", 1.3),
    "say-long-first": Goal("≥", 0.83),
}
"""On a processor. A first byte that takes at most 1.2 times as long is at least 0.83 times as fast."""


def goals_of(page: Path) -> Mapping[str, Goal]:
    """The goals that docs/gpu.md has in its table.

    Raises LookupError where there is no such table, or a row of it names nothing that is compared.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise LookupError(f"{page.name} has no table of goals")
    rows = list(_ROW.finditer(text[begin:end]))
    goals: dict[str, Goal] = {
        row["name"]: Goal("≥" if row["sign"] == "≥" else "≤", float(row["bound"])) for row in rows
    }
    known = {comparison.name for comparison in COMPARISONS}
    if unknown := goals.keys() - known:
        raise LookupError(f"{page.name} has goals for {', '.join(sorted(unknown))}, which nothing measures")
    if not goals:
        raise LookupError(f"{page.name} has an empty table of goals")
    return goals
