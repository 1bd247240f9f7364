"""What `scripts/bench media` has done by each side: pictures drawn, recordings heard, texts spoken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scripts.benchmarks.media_sounds import TOGETHER

Kind = Literal["pictures", "transcription", "speech"]
DIRECT, BATCHED = "direct", "batched"
"""Ways to call a library: as it is, and in batches of its own (faster-whisper's BatchedInferencePipeline)."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something that takes time. Each side does it once a round.

    asks: the requests, which a server gets at once and a library one after the other. Of pictures `count`, of
    transcription `sound` and `quality`, of speech `text`, by name. direct: the ways in which the library is called.
    times: how often a side does it in a row in a round, of which the median counts; for what is over in no time.
    most: rounds at most; for what takes long. first: whether the first piece of an answer counts by itself, as
    NAME.first; a transcript then comes as a stream. behind: a recording that a server is transcribing, as a stream,
    while it gets the requests. quick: whether it is short, so that each side does it once before the rounds, and is a
    part of --quick.
    """

    name: str
    kind: Kind
    asks: Sequence[Mapping[str, Any]]
    direct: tuple[str, ...] = (DIRECT,)
    times: int = 1
    most: int | None = None
    first: bool = False
    behind: str | None = None
    quick: bool = False

    @property
    def sounds(self) -> list[str]:
        """Names of the recordings that are needed for it."""
        return [ask["sound"] for ask in self.asks if "sound" in ask] + ([self.behind] if self.behind else [])


def _heard(quality: str, *sounds: str) -> Sequence[Mapping[str, Any]]:
    return [{"sound": sound, "quality": quality} for sound in sounds]


def _each(name: str) -> list[str]:
    return [f"{name}-{number}" for number in range(TOGETHER)]


WORKS = (
    Work("picture", "pictures", [{"count": 1}], times=3, quick=True),
    Work("pictures-in-one", "pictures", [{"count": TOGETHER}], quick=True),
    Work("pictures-at-once", "pictures", [{"count": 1}] * TOGETHER, direct=(), quick=True),
    Work("hear-short", "transcription", _heard("low", "short-0"), times=3, quick=True),
    Work("hear-short-at-once", "transcription", _heard("low", *_each("short"))),
    Work("hear-long", "transcription", _heard("low", "long"), direct=(DIRECT, BATCHED), first=True),
    Work("hear-long-whole", "transcription", _heard("low", "long"), direct=()),
    Work("hear-at-once", "transcription", _heard("low", *_each("middle")), direct=(BATCHED,)),
    Work("hear-short-behind-long", "transcription", _heard("low", "short-0"), direct=(), behind="longest"),
    Work("hear-high", "transcription", _heard("high", "long")),
    Work("hear-again", "transcription", _heard("low", "again"), direct=(), most=3),
    Work("hear-again-high", "transcription", _heard("high", "again"), most=3),
    Work("say-short", "speech", [{"text": "short-0"}], times=3, first=True, quick=True),
    Work("say-short-at-once", "speech", [{"text": name} for name in _each("short")]),
    Work("say-long", "speech", [{"text": "long"}], first=True),
)
BY_NAME: Mapping[str, Work] = {work.name: work for work in WORKS}


def chosen(names: str) -> list[Work]:
    """Works by name or by kind, comma-separated; all for none. Raises LookupError."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {*BY_NAME, *(work.kind for work in WORKS)}
    if unknown := [name for name in wanted if name not in known]:
        raise LookupError(f"there is no work {', '.join(unknown)}; these are: {', '.join(sorted(known))}")
    return [work for work in WORKS if not wanted or work.name in wanted or work.kind in wanted]
