"""What is measured, and how: every item in every mode, through the HTTP API of one server.

A *measure* is a module of this folder that has the names of `Measure` below (see chat.py for an example):

    NAME = "chat"                              # the word on the command line
    MODELS = ("smollm2-135m-instruct",)        # what the server serves; what it is asked for is the module's affair
    UNIT = "share right"                       # or "word error rate"
    HIGHER_IS_BETTER = True
    SIZE = 240                                 # items where --size says nothing
    AT_ONCE = 8                                # requests in flight; 1 where the engine works on one at a time anyhow

    def items(size: int, seed: int) -> Sequence[Item]: ...
    async def ask(client: httpx.AsyncClient, item: Item, mode: str) -> Outcome: ...

`items` makes them from the seed alone, before the server starts; it may take its time and may make subclasses of
`Item`. It is called once for each seed, and the items of all seeds are asked of one server.

An item's `kind` names its group, which has figures of its own; its `weight` says what it counts, such
as the words of the reference: the figures are weighted means, and a word error rate is that of all words together.

`ask` sends one item in one mode (low, medium, high, ultra) and judges the answer. The client knows the server's address
and a key whose account pays with credits; paths are those of the API (`/v1/chat/completions`). Use `checked(response)`
for what is no answer, and `outcome(score, usage, headers)` to make the outcome of the usage object and the headers: it
reads the tokens, `credits`, `usage.quality` and `x-quality-passes`. What the frame can't know is said in its keywords:

- `score`: 0–1, or an error rate.
- `seconds`: only where `ask` does more than the one request (a reading back, say); else the frame measures.
- `detail`: anything that JSON can hold, kept beside the score: the answer, the transcript.

Items are asked in turn, each in all modes before the next, the modes' order turned by one from item to item, so that a
drift of the machine favours none. A request that fails counts as `WORST`, and the report tells how many did.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import httpx

MODES = ("low", "medium", "high", "ultra")
WORST = {True: 0.0, False: 1.0}
"""The score of a failure, by whether higher is better."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question, clip, sentence or prompt.

    id: unique among those of its seed, and stable under it. weight: what it counts. of_seed: the seed that it was
    made from, which the frame sets. drawn_as: what the bootstrap draws it by; items of several seeds that are the same
    thing, such as one prompt with several seeds, have one word here and are drawn together. Empty: each by itself.
    """

    id: str
    kind: str
    weight: float = 1.0
    of_seed: int = 0
    drawn_as: str = ""

    @property
    def unit(self) -> str:
        """What the bootstrap draws it by, unique among all seeds."""
        return self.drawn_as or f"{self.of_seed} {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an item went in a mode. tokens: prompt and answer, of all passes. seconds: None lets the frame measure."""

    score: float
    tokens: int = 0
    credits: float = 0.0
    passes: int = 1
    seconds: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False


class Failure(Exception):
    """The server gave no answer; the text says what it gave."""


I_contra = TypeVar("I_contra", bound=Item, contravariant=True)


class Measure(Protocol[I_contra]):
    """A module with these names; see above."""

    NAME: str
    MODELS: tuple[str, ...]
    UNIT: str
    HIGHER_IS_BETTER: bool
    SIZE: int
    AT_ONCE: int

    def prepare(self) -> None:
        """Bring and load what the judging needs, before the server has the machine. Raises StarterError."""
        ...

    def items(self, size: int, seed: int) -> Sequence[Any]:
        """As many, by the seed. Raises nothing."""
        ...

    async def ask(self, client: httpx.AsyncClient, item: I_contra, mode: str) -> Outcome:
        """Raises Failure, httpx.HTTPError."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """An outcome in its place."""

    item: Item
    mode: str
    outcome: Outcome


def items_of(measure: Measure[Any], size: int, seeds: Sequence[int]) -> list[Item]:
    """`size` items of each seed, one seed's after another's."""
    made = []
    for seed in seeds:
        for item in measure.items(size, seed):
            one = copy(item)  # `replace` would make it anew, without what is no field: a clip's sound
            object.__setattr__(one, "of_seed", seed)
            made.append(one)
    return made


def checked(response: httpx.Response) -> httpx.Response:
    """The response, where it is an answer. Raises Failure."""
    if response.status_code != httpx.codes.OK:
        raise Failure(f"{response.status_code}: {response.text[:300]}")
    return response


def outcome(score: float, usage: Mapping[str, Any], headers: Mapping[str, str], **said: Any) -> Outcome:
    """What the usage object and the headers tell, and the score. said: further fields of Outcome."""
    quality = usage.get("quality", {})
    detail = {"quality": quality, "reason": headers.get("x-quality-reason", ""), **said.pop("detail", {})}
    return Outcome(
        score=score,
        tokens=usage.get("total_tokens") or 0,
        credits=float(usage.get("credits", 0.0)),
        passes=int(quality.get("passes", headers.get("x-quality-passes", 1))),
        detail=detail,
        **said,
    )


def turned(items: Sequence[Item], modes: Sequence[str]) -> list[tuple[Item, str]]:
    """Every item in every mode, item by item; each mode comes first, second … equally often."""
    pairs = []
    for number, item in enumerate(items):
        start = number % len(modes)
        pairs += [(item, mode) for mode in (*modes[start:], *modes[:start])]
    return pairs


async def run(
    measure: Measure[Any],
    client: httpx.AsyncClient,
    items: Sequence[Item],
    modes: Sequence[str],
    done: Callable[[Row], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Row]:
    """All rows, in the order in which they were begun; at most AT_ONCE are under way. done: called with each."""
    pairs = turned(items, modes)
    rows: list[Row | None] = [None] * len(pairs)
    waiting = iter(enumerate(pairs))

    async def work() -> None:
        for place, (item, mode) in waiting:
            begun = clock()
            try:
                answered = await measure.ask(client, item, mode)
            except (Failure, httpx.HTTPError) as error:
                answered = Outcome(
                    score=WORST[measure.HIGHER_IS_BETTER],
                    detail={"error": f"{type(error).__name__}: {error}"},
                    failed=True,
                )
            if answered.seconds is None:
                answered = replace(answered, seconds=clock() - begun)
            row = rows[place] = Row(item, mode, answered)
            done(row)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(measure.AT_ONCE, len(pairs))):
            group.create_task(work())
    return [row for row in rows if row is not None]
