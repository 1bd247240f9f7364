"""How many lines of batches are under way at once: as many as their models work on, shared among accounts."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Self

LEAST = 2
"""Lines of a model that a batch may have under way, however many share it: one runs, and one is ready."""
MOST_BYTES = 64 * 2**20
"""Of the lines that are under way, of all batches together. One alone may be longer."""


class Window:
    """What all batches of this process have under way.

    A model works on 32 requests at once, and three batches want it, two of them of one account. Then the batch that is
    its account's only one may have 20 lines under way, four of which are ready when a place becomes free; each of the
    other two may have ten.
    """

    def __init__(self, places: Callable[[str], int]) -> None:
        """places: requests that a model works on at once."""
        self._places = places
        self._shares: list[Share] = []
        self._bytes = 0
        self._refused = False
        """Whether a line waits because of the bytes that are under way."""

    def share(self, account_id: str, wake: Callable[[], None]) -> "Share":
        """A batch's, for the length of its block. wake: is called when there may be more room."""
        return Share(self, account_id, wake)

    def most(self, share: "Share", model: str) -> int:
        """Lines of a model that a batch may have under way."""
        wanting = [one for one in self._shares if model in one.wanted or one is share]
        return self._part(Counter(one.account_id for one in wanting), share, self._places(model))

    def has_room(self, size: int) -> bool:
        """For a line of so many bytes."""
        room = not self._bytes or self._bytes + size <= MOST_BYTES
        self._refused = self._refused or not room
        return room

    def ended(self, share: "Share", model: str, size: int) -> None:
        """A line of it: others may begin one in its place."""
        self._bytes -= size
        if self._refused:
            self._refused = False
            self._wake(one for one in self._shares if one is not share)
            return
        # Those that have their part already would find out in vain: with a hundred batches that takes milliseconds.
        wanting = [one for one in self._shares if model in one.wanted]
        batches, places = Counter(one.account_id for one in wanting), self._places(model)
        self._wake(
            one for one in wanting if one is not share and one.under_way(model) < self._part(batches, one, places)
        )

    def _part(self, batches: Counter[str], share: "Share", places: int) -> int:
        """batches: that want the model, by account."""
        # A quarter more than run are ready: no place is empty while the next line is read.
        return max(LEAST, (places + places // 4) // len(batches) // batches[share.account_id])

    def _wake(self, shares: Iterable["Share"]) -> None:
        for one in shares:
            one.wake()

    def enter(self, share: "Share") -> None:
        self._shares.append(share)

    def leave(self, share: "Share") -> None:
        self._shares.remove(share)
        self._wake(self._shares)

    def take(self, size: int) -> None:
        self._bytes += size


class Share:
    """What one batch has under way. wanted: the models of which it has lines to begin; set by its owner."""

    def __init__(self, window: Window, account_id: str, wake: Callable[[], None]) -> None:
        self.account_id = account_id
        self.wake = wake
        self.wanted: Collection[str] = ()
        self._window = window
        self._under_way: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._window.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._window.leave(self)

    def under_way(self, model: str) -> int:
        return self._under_way[model]

    def room(self, model: str, size: int) -> bool:
        """Whether one more line may be begun."""
        return self._under_way[model] < self._window.most(self, model) and self._window.has_room(size)

    def begin(self, model: str, size: int) -> None:
        self._under_way[model] += 1
        self._window.take(size)

    def end(self, model: str, size: int) -> None:
        self._under_way[model] -= 1
        self._window.ended(self, model, size)
