"""Whisper's fallback, bounded: at which temperature a window is heard next, and which hearing of it is taken. Pure.

Whisper (Radford et al. 2022, section 4.5) hears a window at temperature 0 and, as long as the text goes round in
circles or is improbable, again at 0.2, 0.4 and so on to 1, five samples at a time. Where no temperature helps, that is
six times the work for the first text. So the ladder is left early where the hearings so far show no hope, and a
recording has a budget for it that grows with its length. docs/quality.md tells what each temperature wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures in the order in which a window is heard, Whisper's own."""

REPETITIVE = 2.4
IMPROBABLE = -1.0
SILENT = 0.6
"""Whisper's thresholds: of the compression ratio, the mean log-probability, and the probability that nobody speaks."""

FAR = 0.25
"""Nats below IMPROBABLE at which a second hearing, no better than the first, leaves no hope."""

FIRST = 900.0
PER_SECOND = 2.5
"""Tokens that a recording may spend on its fallback: these, and as many for each of its seconds.

A window of half a minute holds about 110 tokens, and 224 at most: a short recording can climb nearly all of the ladder,
and a long one about as many tokens in all as its windows take at temperature 0.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What came out for a window at one temperature.

    tokens: of the longest sample, which is what the hearing took. whole: the text ended by itself, and was not cut at
    the limit of tokens. logprob: mean of the tokens', in nats. compression: the text's length by that of it compressed.
    no_speech: probability that nobody speaks.
    """

    temperature: float
    text: str
    tokens: int
    whole: bool
    logprob: float
    compression: float
    no_speech: float

    @property
    def repetitive(self) -> bool:
        return self.compression > REPETITIVE

    @property
    def improbable(self) -> bool:
        return self.logprob < IMPROBABLE

    @property
    def settled(self) -> bool:
        """Whether nothing is wrong with it, or nobody speaks in the window."""
        return (self.improbable and self.no_speech > SILENT) or not (self.repetitive or self.improbable)


class Budget:
    """Tokens that one recording may still spend on temperatures above 0."""

    def __init__(self, seconds: float) -> None:
        self.left = FIRST + PER_SECOND * seconds

    def spend(self, hearing: Hearing) -> None:
        if hearing.temperature > 0:
            self.left -= hearing.tokens


def next_temperature(hearings: Sequence[Hearing], ladder: Sequence[float], budget: Budget) -> float | None:
    """At which a window is heard next, or None: one of the hearings is to be taken.

    hearings: of the window so far, at the first temperatures of the ladder. The first is always due.
    """
    if not hearings:
        return ladder[0]
    if len(hearings) == len(ladder) or hearings[-1].settled or budget.left <= 0 or hopeless(hearings):
        return None
    return ladder[len(hearings)]


def hopeless(hearings: Sequence[Hearing]) -> bool:
    """Whether no further temperature is likely to make anything of the window.

    So it is where two hearings in turn say the same to its end: then the recording itself repeats its words, and the
    text of it goes round in circles at each temperature. And so it is where the first was far too improbable and
    the second is no better, though neither goes round in circles.
    """
    if len(hearings) < 2:
        return False
    before, last = hearings[-2:]
    if last.whole and before.whole and words(last.text) == words(before.text):
        return True
    return (
        not any(hearing.repetitive for hearing in hearings)
        and last.logprob < IMPROBABLE - FAR
        and last.logprob <= before.logprob
    )


def words(text: str) -> list[str]:
    """The words alone, without the case and the marks around them."""
    return [word for part in text.lower().split() if (word := part.strip(".,;:!?\"'-"))]


def taken(hearings: Sequence[Hearing]) -> Hearing:
    """The last, where nothing is wrong with it; else the most probable, of those that don't go round in circles if any.

    hearings: at least one.
    """
    if hearings[-1].settled:
        return hearings[-1]
    sensible = [hearing for hearing in hearings if not hearing.repetitive]
    return max(sensible or hearings, key=lambda hearing: hearing.logprob)
