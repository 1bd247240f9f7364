"""Kept files that are open in this process."""

from io import BufferedReader, FileIO

from server.jobs.files.places import Places
from server.jobs.files.records import StoredFile

OPEN = Places()


def reading(stored: StoredFile) -> BufferedReader:
    """Its bytes, for a thread. Raises OSError, and RateLimited and Overloaded as `Places` does."""
    return BufferedReader(_Counted(stored))


class _Counted(FileIO):
    def __init__(self, stored: StoredFile) -> None:
        self._account: str | None = None
        OPEN.take(stored.account_id)
        self._account = stored.account_id
        try:
            super().__init__(stored.path, "rb")
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Also called when nothing refers to it any more."""
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        account, self._account = self._account, None
        if account is not None:
            OPEN.give_back(account)
