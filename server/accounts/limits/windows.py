"""What a limit counts: a minute that begins with its first use, and is counted whole (a fixed window)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

MINUTE = 60
"""Seconds of a window."""
Kind = Literal["requests", "tokens"]
Whose = Literal["key", "account"]


class Limit(NamedTuple):
    """What `owner`, the id of a key or an account, may use of a kind in a minute.

    It also names the window that it is counted in: a limit that is changed begins anew.
    """

    whose: Whose
    owner: str
    kind: Kind
    most: int


class Window(NamedTuple):
    """limit: the most of a minute; remaining: what is left of it; reset: seconds until all of it is there again."""

    limit: int
    remaining: int
    reset: float


class Windows(Protocol):
    """Where windows are kept. Each question is one step, so that no other request comes in between.

    Answers have a window for each limit, in the limits' order. Raises Unavailable where the counts can't be read.
    """

    async def take(self, limits: Sequence[Limit]) -> tuple[bool, Sequence[Window]]:
        """Count a request in every limit of requests, or in none of them if any limit, of either kind, is used up.

        Returns whether it was counted, and the windows after it. Example: a key has 3 of 5 requests left, its
        account none. The answer is False, and the key has 3 left.
        """
        ...

    async def look(self, limits: Sequence[Limit]) -> Sequence[Window]: ...

    async def add(self, limits: Sequence[Limit], amount: int) -> None:
        """Count what was used already, even beyond a limit. It is done even if the caller is cancelled meanwhile."""
        ...

    async def ping(self) -> None:
        """Raises Unavailable, from what the library said."""
        ...

    @property
    def where(self) -> str:
        """The place, for messages: without a password."""
        ...

    async def aclose(self) -> None: ...


def window_of(limit: Limit, used: int, reset: float) -> Window:
    """reset: seconds until it ends. A limit of 0 has no first use that could begin its minute: it is a whole one."""
    return Window(limit.most, max(0, limit.most - used), reset if limit.most else MINUTE)
