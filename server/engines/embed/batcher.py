"""Rows of several jobs in one run of the network: a processor reads 32 short texts faster together than one by one.

There is no thread for it: of the jobs that wait, one runs the network for all, and hands that on when its own rows are
done.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from server.engines.embed.network import Floats
from server.engines.embed.rows import Row


class Share:
    """A job's rows, and what the network made of them, in the rows' order. read: tokens of the rows that are done.

    turn: set when some of its rows are done, and when it is to run the network.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        # The longest first: a batch is padded to its longest row, so rows of like length should meet.
        self.left = deque(sorted(range(len(rows)), key=lambda place: -len(rows[place])))
        self.found: list[Floats | None] = [None] * len(rows)
        self.missing = len(rows)
        self.read = 0
        self.error: Exception | None = None
        self.turn = threading.Event()

    def result(self) -> Floats:
        """[rows, size], once all rows are there."""
        return np.stack([one for one in self.found if one is not None])


class Batcher:
    """network: rows to an array with one entry for each. tokens: of one run, padding included; one row may have more.

    Invariants, under the lock: each share is in `_waiting` while it has rows left, and there is a leader while anything
    waits. Only the leader's thread runs the network, and only threads that have something to do are woken.
    """

    def __init__(self, network: Callable[[Sequence[Row]], Floats], tokens: int) -> None:
        self._network = network
        self._tokens = tokens
        self._lock = threading.Lock()
        self._waiting: deque[Share] = deque()
        self._leader: Share | None = None

    def work(self, share: Share) -> Iterator[None]:
        """Until all of the share's rows are done; a turn whenever some are. Whoever leaves early closes the generator.

        Raises what the network raised on a batch with rows of the share.
        """
        with self._lock:
            self._waiting.append(share)
            if self._leader is None:
                self._leader = share
        try:
            while share.missing and share.error is None:
                if self._leader is share:
                    self._run()
                else:
                    share.turn.wait()
                    share.turn.clear()
                yield
            if share.error is not None:
                raise share.error
        finally:
            with self._lock:
                if share in self._waiting:
                    self._waiting.remove(share)
                if self._leader is share:
                    self._leader = self._waiting[0] if self._waiting else None
                    if self._leader is not None:
                        self._leader.turn.set()

    def _run(self) -> None:
        with self._lock:
            batch = self._next()
        error: Exception | None = None
        found: Floats | None = None
        try:
            found = self._network([share.rows[place] for share, place in batch])
        except Exception as caught:  # noqa: BLE001 - it belongs to all whose rows are in the batch
            error = caught
        for number, (share, place) in enumerate(batch):
            if found is None:
                share.error = error
            else:
                share.found[place] = found[number]
                share.read += len(share.rows[place])
                share.missing -= 1
        for share in {share for share, _ in batch}:
            share.turn.set()

    def _next(self) -> list[tuple[Share, int]]:
        """The rows of the next run: those of the share whose turn it is, then others that need little padding.

        The share goes to the end of the line if it has rows left, so a job of one text waits for one run of a job of
        2,000. Example: with 100 tokens at most, rows of 40 and 30 tokens and another share's of 25 are 3 × 40, which
        is too much; the first two are a run.
        """
        batch: list[tuple[Share, int]] = []
        longest = 0
        first = self._waiting[0]
        for share in list(self._waiting):
            while share.left:
                size = len(share.rows[share.left[0]])
                padded = max(longest, size) * (len(batch) + 1)
                if batch and (padded > self._tokens or not longest / 2 <= size <= longest * 2):
                    break
                batch.append((share, share.left.popleft()))
                longest = max(longest, size)
            if longest * (len(batch) + 1) > self._tokens:
                break
        self._waiting.rotate(-1)
        for share in [share for share in self._waiting if not share.left]:
            self._waiting.remove(share)
        assert batch or not first.left
        return batch
