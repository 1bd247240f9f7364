"""How many files are read and written at once: each takes descriptors that others need, and a slow client holds it."""

from collections import Counter
from threading import Lock

from server.errors import Overloaded, RateLimited

MOST, MOST_OF_ONE = 512, 256
"""Of all accounts, and of one. A request may name 20 files."""


class Places:
    """For several threads."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def taken(self) -> int:
        return self._of.total()

    def take(self, account_id: str) -> None:
        """Raises RateLimited where the account has as many as it may, Overloaded where all have."""
        with self._lock:
            if self._of[account_id] >= MOST_OF_ONE:
                raise RateLimited(
                    "Rate limit reached: this account sends or reads more files at once than it may.",
                    headers={"Retry-After": "1", "retry-after-ms": "1000"},
                )
            if self._of.total() >= MOST:
                raise Overloaded("The server is busy with files. Please try again shortly.")
            self._of[account_id] += 1

    def give_back(self, account_id: str) -> None:
        with self._lock:
            self._of[account_id] -= 1
            if not self._of[account_id]:
                del self._of[account_id]
