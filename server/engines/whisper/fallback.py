"""Whisper's fallback, bounded: at which temperature a window is heard next, and which hearing of it is taken. Pure.

Whisper (Radford et al. 2022, section 4.5) hears a window at temperature 0 and, as long as the text goes round in
circles or is improbable, again at 0.2, 0.4 and so on to 1, five samples at a time. Two rules of ours make that cheaper:

- Of the five samples the most probable that makes sense counts, where Whisper looks at the most probable of all. A
  circle is probable, so Whisper goes on to temperatures at which no text is good any more. Those are left out.
- What is improbable grows no more probable as the temperature rises, so it is heard a second time and never a third.
  Nor is a recording that repeats its own words, which goes in circles at each temperature.

So most windows are heard twice at most, and a window has a budget for more that grows with its length.
docs/quality.md tells how often each temperature is used and what it wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WHISPER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LADDER = WHISPER[:4]
"""Temperatures in the order in which a window is heard: Whisper's own, and those of them that are worth it."""

REPETITIVE = 2.4
IMPROBABLE = -1.0
SILENT = 0.6
"""Whisper's thresholds: of the compression ratio, the mean log-probability, and the probability that nobody speaks."""

NONSENSE = -2.0
"""Mean log-probability below which a text has nothing to do with the sound."""

ALIKE = 0.5
"""Share of the different words of two texts that are in both, from which they say the same over and over.

Each hearing of a sentence that comes again gets another word wrong now and then.
"""

FIRST = 448.0
PER_SECOND = 7.5
"""Tokens that the fallback of a recording may take: FIRST in its first window, and PER_SECOND for a second of each.

A window has its share for itself, and is heard again as long as a token of it is left. A hearing takes 224 tokens at
most. So the first window can be heard at every temperature, another one of half a minute twice more, and one of less
than that once more.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A text of a window.

    sample: its place among those that were drawn at the temperature. tokens: of the longest of them, which is what the
    hearing took. whole: the text ended by itself, and was not cut at the limit of tokens. logprob: mean of the tokens',
    in nats. compression: the text's length by that of it compressed. no_speech: probability that nobody speaks.
    """

    temperature: float
    sample: int
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
    def sensible(self) -> bool:
        """Whether it may be taken though it is improbable."""
        return not self.repetitive and self.logprob >= NONSENSE

    @property
    def settled(self) -> bool:
        """Whether nothing is wrong with it, or nobody speaks in the window."""
        return (self.improbable and self.no_speech > SILENT) or not (self.repetitive or self.improbable)


class Budget:
    """Tokens that one window may still spend on temperatures above 0. first: of its recording."""

    def __init__(self, seconds: float, *, first: bool = True) -> None:
        self.left = (FIRST if first else 0.0) + PER_SECOND * seconds

    def spend(self, hearing: Hearing) -> None:
        if hearing.temperature > 0:
            self.left -= hearing.tokens


def next_temperature(hearings: Sequence[Hearing], ladder: Sequence[float], budget: Budget) -> float | None:
    """At which a window is heard next, or None: one of the hearings is to be taken.

    hearings: of the window so far, one for each of the first temperatures of the ladder. The first is always due.
    """
    if not hearings:
        return ladder[0]
    if len(hearings) == len(ladder) or hearings[-1].settled or budget.left <= 0 or hopeless(hearings):
        return None
    return ladder[len(hearings)]


def hopeless(hearings: Sequence[Hearing]) -> bool:
    """Whether a further temperature would win nothing: see the rules above."""
    if len(hearings) < 2:
        return False
    before, last = hearings[-2:]
    if not hearings[0].repetitive or last.sensible:
        return True
    circles = all(one.repetitive and one.whole for one in (before, last))
    return circles and alike(before.text, last.text)


def alike(one: str, other: str) -> bool:
    """Whether the two consist of the same words, however often each says them."""
    words, others = _words(one), _words(other)
    return len(words & others) >= ALIKE * len(words | others)


def _words(text: str) -> set[str]:
    """Without case and the marks around them."""
    return {word for part in text.lower().split() if (word := part.strip(".,;:!?\"'-"))}


def taken(hearings: Sequence[Hearing]) -> Hearing:
    """The last, where nothing is wrong with it; else the likeliest."""
    return hearings[-1] if hearings[-1].settled else likeliest(hearings)


def likeliest(hearings: Sequence[Hearing]) -> Hearing:
    """The most probable, of those that make sense if there are any. hearings: at least one."""
    sensible = [hearing for hearing in hearings if hearing.sensible]
    return max(sensible or hearings, key=lambda hearing: hearing.logprob)
