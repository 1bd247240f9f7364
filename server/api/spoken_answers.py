"""What spoken answers said, by their ids: a client may send an answer's id in place of its text in its next turn."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

LIFE = 3600
"""Seconds that an id stands for its text, as the answer's `expires_at` says."""

MOST = 16 * 2**20
"""Characters kept of all answers together; the oldest go first."""


@dataclass(frozen=True, slots=True)
class _Said:
    account_id: str
    text: str
    expires_at: int


class SpokenAnswers:
    """In memory, so that nothing which was said lies on a disk; a restart forgets all."""

    def __init__(self, now: Callable[[], float] = time.time, most: int = MOST) -> None:
        self._now = now
        self._most = most
        self._said: OrderedDict[str, _Said] = OrderedDict()
        self._characters = 0

    def expiry(self) -> int:
        """Of an answer given now, in Unix seconds."""
        return int(self._now()) + LIFE

    def keep(self, account_id: str, name: str, text: str, expires_at: int) -> None:
        """name: the answer's id."""
        self._said[name] = _Said(account_id, text, expires_at)
        self._characters += len(text)
        while self._said and (self._characters > self._most or self._oldest.expires_at <= self._now()):
            self._characters -= len(self._said.popitem(last=False)[1].text)

    def text(self, account_id: str, name: str) -> str | None:
        """None for an id that is unknown, too old, or another account's."""
        said = self._said.get(name)
        if said is None or said.account_id != account_id or said.expires_at <= self._now():
            return None
        return said.text

    @property
    def _oldest(self) -> _Said:
        return next(iter(self._said.values()))
