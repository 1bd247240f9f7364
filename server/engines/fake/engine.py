"""Engines without models, for tests of the whole API and for benchmarks of the front end.

A fake answers by a script (`script.py`), counts what runs and what was cut short, and fails on demand. Nothing
sleeps unless its options say `pause`: a test that wants a slow engine closes its `gate`.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from server.core import (
    ChatJob,
    CompletionJob,
    DetokenizeJob,
    Event,
    Facts,
    Job,
    SpeechJob,
    Task,
    TokenizeJob,
    TranscriptionJob,
)
from server.engines.base import Engine, Footprint
from server.engines.fake.gate import Gate
from server.engines.fake.language import longest_prompt, unknown_id
from server.engines.fake.options import FakeOptions
from server.engines.fake.script import events_of, facts_of
from server.engines.fake.steps import Steps
from server.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, ModelUnavailable

KEPT = 100
"""Jobs that a fake engine remembers at least; twice as many at most. All of them were a leak."""


class FakeEngine(Engine):
    """An Engine (server/engines/base.py) for any tasks. `started`, `finished` and `cut_short` count its jobs, of which
    `jobs` are the last.

    script: what to answer the next jobs with, in place of what would be made up: Facts, then the events.
    """

    def __init__(self, tasks: Task | Collection[Task], options: Mapping[str, Any] | None = None) -> None:
        self._tasks: Collection[Task] = (tasks,) if isinstance(tasks, Task) else tasks
        self.options = FakeOptions(**(options or {}))
        self.gate = Gate()
        self.steps = Steps(self.options.step, self.options.step_job, self.options.sequences)
        self.jobs: list[Job] = []
        self.script: list[Iterable[Facts | Event]] = []
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

    @property
    def context(self) -> int | None:
        return self.options.context if Task.CHAT in self._tasks or Task.COMPLETION in self._tasks else None

    @property
    def places(self) -> int | None:
        return self.options.sequences

    def footprint(self) -> Footprint:
        return Footprint(self.options.host, {0: self.options.gpu}) if self._alive else Footprint()

    async def read(self, job: Job) -> "FakeReading":
        if not self._alive:
            raise EngineFailed
        self._check(job)
        self.jobs.append(job)
        if len(self.jobs) > 2 * KEPT:
            del self.jobs[:-KEPT]
        self.started += 1
        self._running += 1
        self._idle.clear()
        reading = FakeReading(self, job, iter(self.script.pop(0)) if self.script else None)
        try:
            if self.options.fail:
                raise EngineFailed
            await self.gate.through()
        except BaseException:
            await reading.aclose()
            raise
        return reading

    def ended(self, *, whole: bool) -> None:
        """A reading of this engine is closed; whole: it ran to its end."""
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
        if unknown := unknown_id(job):
            param = "tokens" if isinstance(job, DetokenizeJob) else "prompt"
            raise InvalidRequest(f"Token id {unknown} is not in the model's vocabulary.", param=param)
        prompt = job.of if isinstance(job, TokenizeJob) and isinstance(job.of, ChatJob) else job
        if isinstance(prompt, ChatJob | CompletionJob) and longest_prompt(prompt) > self.options.context:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self.options.context} tokens.",
                param="messages" if isinstance(prompt, ChatJob) else "prompt",
            )
        if isinstance(job, CompletionJob) and job.suffix is not None and not self.options.fim:
            raise InvalidRequest("This model has no fill-in-the-middle.", param="suffix", code="unsupported_parameter")
        if isinstance(job, TranscriptionJob) and not job.audio:
            raise InvalidRequest("The file is empty.", param="file")
        if isinstance(job, SpeechJob) and self.options.voices and job.voice not in self.options.voices:
            raise InvalidRequest(f"Unknown voice. Voices: {', '.join(self.options.voices)}.", param="voice")
        if isinstance(job, ChatJob) and not isinstance((job.output_schema or {}).get("properties", {}), dict):
            raise InvalidRequest("The schema's 'properties' must be an object.", param="response_format")

    def break_at(self, events: int) -> None:
        """Fail as the options say. events: how many the job has had."""
        if self.options.die_after is not None and events >= self.options.die_after:
            self._alive = False
        if not self._alive:
            raise EngineFailed
        if self.options.bug_after is not None and events >= self.options.bug_after:
            raise RuntimeError("a bug in the fake engine, /with/a/path")


class FakeReading:
    """script: the facts and the events, in place of those made up."""

    unread = cached = 0

    def __init__(self, engine: FakeEngine, job: Job, script: Iterator[Facts | Event] | None) -> None:
        self._engine = engine
        self._job = job
        self._script = script
        self._closed = False
        self._whole = False
        facts = facts_of(job, engine.options) if script is None else next(script)
        assert isinstance(facts, Facts)
        self.facts = facts

    async def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:
        engine = self._engine
        stepped = engine.options.step > 0
        for number, event in enumerate(self._events(limit)):
            await engine.gate.through()
            if stepped:
                await engine.steps.through(self)
            engine.break_at(number)
            if number == 1 and engine.options.pause:
                await asyncio.sleep(engine.options.pause)
            yield event
        self._whole = True

    def _events(self, limit: int | None) -> Iterator[Event]:
        if self._script is not None:
            return cast(Iterator[Event], self._script)
        job, room = self._job, self.facts.room
        if isinstance(job, ChatJob | CompletionJob) and room is not None:
            most = room if limit is None else min(room, limit)
            if most != job.max_tokens:
                job = replace(job, max_tokens=most)
        return events_of(job, self._engine.options)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._engine.steps.left(self)
            self._engine.ended(whole=self._whole)
