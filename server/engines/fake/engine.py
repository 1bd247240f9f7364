"""Engines without models, for tests of the whole API and for benchmarks of the front end.

A fake answers by a script (`script.py`), counts what runs and what was cut short, and fails on demand. Nothing
sleeps unless it is told to `pause`: a test that wants a slow engine closes its `gate`.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from server.core import Accepted, ChatJob, Event, Job, SpeechJob, Task, TranscriptionJob
from server.engines.base import Engine, Footprint
from server.engines.fake.gate import Gate
from server.engines.fake.script import FakeOptions, events_of, prompt_tokens
from server.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, ModelUnavailable


class _Room:
    """The tokens that an answer may have, which the pipeline may lower between `Accepted` and the work."""

    def __init__(self, job: ChatJob, context: int) -> None:
        left = max(context - prompt_tokens(job), 1)
        self.tokens = left if job.max_tokens is None else min(job.max_tokens, left)

    def lower(self, most: int) -> None:
        self.tokens = min(self.tokens, most)


class FakeEngine(Engine):
    """An Engine (server/engines/base.py) for any tasks. `started`, `finished` and `cut_short` count its jobs.

    script: events to answer the next jobs with, in place of those made up; for tasks other than chat.
    """

    def __init__(self, tasks: Task | Collection[Task], options: Mapping[str, Any] | None = None) -> None:
        self._tasks: Collection[Task] = (tasks,) if isinstance(tasks, Task) else tasks
        self.options = FakeOptions(**(options or {}))
        self.gate = Gate()
        self.jobs: list[Job] = []
        self.script: list[Iterable[Event]] = []
        self.started = 0
        self.finished = 0
        self.cut_short = 0
        self._running = 0
        self._alive = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        if self.options.fail_start is not None:
            raise ModelUnavailable(self.options.fail_start)
        self._alive = True

    async def stop(self) -> None:
        self._alive = False

    def die(self) -> None:
        """As if the process had been killed: running jobs fail at their next event."""
        self._alive = False

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def running(self) -> int:
        return self._running

    async def until_idle(self) -> None:
        """Return when no job runs."""
        await self._idle.wait()

    def footprint(self) -> Footprint:
        return Footprint(self.options.host, {0: self.options.gpu}) if self._alive else Footprint()

    async def run(self, job: Job) -> AsyncGenerator[Event, None]:
        if not self._alive:
            raise EngineFailed
        self._check(job)
        self.jobs.append(job)
        self.started += 1
        self._running += 1
        self._idle.clear()
        whole = False
        try:
            if self.options.fail:
                raise EngineFailed
            events = iter(self.script.pop(0)) if self.script else events_of(job, self.options)
            accepted = next(events)
            assert isinstance(accepted, Accepted)
            await self.gate.through()
            if isinstance(job, ChatJob):
                room = _Room(job, self.options.context)
                yield replace(accepted, room=room.tokens, limit=room.lower)
                events = events_of(replace(job, max_tokens=room.tokens), self.options)
                next(events)
            else:
                yield accepted
            for number, event in enumerate(events):
                await self.gate.through()
                self._maybe_break(number)
                if number == 1 and self.options.pause:
                    await asyncio.sleep(self.options.pause)
                yield event
            whole = True
        finally:
            self._running -= 1
            if whole:
                self.finished += 1
            else:
                self.cut_short += 1
            if self._running == 0:
                self._idle.set()

    def _check(self, job: Job) -> None:
        if job.task not in self._tasks:
            raise InvalidRequest(f"This model does {' and '.join(self._tasks)}, not {job.task}.", param="model")
        if self.options.refuse is not None:
            raise InvalidRequest(self.options.refuse)
        if isinstance(job, ChatJob) and prompt_tokens(job) > self.options.context:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self.options.context} tokens.", param="messages"
            )
        if isinstance(job, TranscriptionJob) and not job.audio:
            raise InvalidRequest("The file is empty.", param="file")
        if isinstance(job, SpeechJob) and self.options.voices and job.voice not in self.options.voices:
            raise InvalidRequest(f"Unknown voice. Voices: {', '.join(self.options.voices)}.", param="voice")

    def _maybe_break(self, events: int) -> None:
        """events: how many were yielded after `Accepted`."""
        if self.options.die_after is not None and events >= self.options.die_after:
            self._alive = False
        if not self._alive:
            raise EngineFailed
        if self.options.bug_after is not None and events >= self.options.bug_after:
            raise RuntimeError("a bug in the fake engine, /with/a/path")
