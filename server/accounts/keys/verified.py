"""Keys that were verified moments ago, so that a stream of requests doesn't ask the database each time."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.core import Caller


@dataclass(frozen=True, slots=True)
class Verified:
    caller: Caller
    checked_at: datetime
    expires_at: datetime | None

    def fresh(self, now: datetime, lifetime: timedelta) -> bool:
        # A clock that was set back must not make an entry live longer.
        return self.checked_at <= now < self.checked_at + lifetime and (
            self.expires_at is None or now < self.expires_at
        )


class VerifiedKeys:
    """Callers by their key's fingerprint, each for `lifetime` after its check, the `capacity` latest at most.

    Invariant: after `forget` no entry that was read from the database before it can be added. Whoever looks a
    key up takes `generation` first and hands it back to `add`.
    """

    def __init__(self, lifetime: timedelta, capacity: int = 4096) -> None:
        self._lifetime = lifetime
        self._capacity = capacity
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()
        self.generation = 0

    def get(self, fingerprint: bytes, now: datetime) -> Caller | None:
        entry = self._entries.get(fingerprint)
        return entry.caller if entry is not None and entry.fresh(now, self._lifetime) else None

    def add(self, fingerprint: bytes, entry: Verified, generation: int) -> None:
        if generation != self.generation:
            return
        self._entries[fingerprint] = entry
        self._entries.move_to_end(fingerprint)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def forget(self) -> None:
        """Called after every change of keys or accounts made here. Changes are rare, so everything goes."""
        self._entries.clear()
        self.generation += 1
