"""A fake engine's steps: as in continuous batching, each job in the batch makes one event in every step."""

import asyncio
from collections import deque


class Steps:
    """length: seconds of a step, and what each job in the batch adds to it. sequences: jobs in a batch; further ones
    wait, first come first served, as in an engine without priorities. What is done in a step costs no processor time.
    """

    def __init__(self, length: float, job: float, sequences: int) -> None:
        self._length = length
        self._job = job
        self._sequences = sequences
        self._batch: dict[object, asyncio.Future[None] | None] = {}
        self._waiting: deque[tuple[object, asyncio.Future[None]]] = deque()
        self._running = False

    async def through(self, job: object) -> None:
        """Return at the end of the step that makes the job's next event. job: its identity, until `left`."""
        if not self._length:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if job in self._batch:
            self._batch[job] = done
        else:
            self._waiting.append((job, done))
        self._begin()
        await done

    def left(self, job: object) -> None:
        """The job has ended, and its place in the batch is free."""
        self._batch.pop(job, None)
        if self._waiting:
            self._waiting = deque(one for one in self._waiting if one[0] is not job)

    def _begin(self) -> None:
        """Begin a step, unless one is under way. Who comes meanwhile is in the next."""
        if self._running:
            return
        while self._waiting and len(self._batch) < self._sequences:
            job, done = self._waiting.popleft()
            self._batch[job] = done
        if due := [done for done in self._batch.values() if done is not None]:
            self._running = True
            seconds = self._length + self._job * len(self._batch)
            asyncio.get_running_loop().call_later(seconds, self._end, due)

    def _end(self, due: list[asyncio.Future[None]]) -> None:
        self._running = False
        made = set(due)
        for job, done in self._batch.items():
            if done in made:
                self._batch[job] = None
        for done in due:
            if not done.done():
                done.set_result(None)
        # Once those who were in the step have had their turn to ask for the next.
        asyncio.get_running_loop().call_soon(self._begin)
