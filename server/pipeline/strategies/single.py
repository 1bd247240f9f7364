"""One pass, which is the answer."""

from collections.abc import AsyncGenerator

from server.core import Event, Job
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy


class Single(Strategy):
    name = "single"

    def __init__(self, job: Job, answers: int = 1) -> None:
        self._job = job
        self.passes = (PlannedPass("answer", answers=answers),)

    def first(self) -> Job:
        return self._job

    def run(self, work: Work) -> AsyncGenerator[Event, None]:
        return work.answer()
