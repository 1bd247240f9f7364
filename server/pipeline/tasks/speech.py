"""Speech: its modes, and what they cost."""

from dataclasses import replace
from decimal import Decimal

from server.core import Facts, SpeechJob, Task, Usage
from server.errors import ModelNotFound
from server.models.config.quality import SpeechMode, TakesMode
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.single import Single
from server.pipeline.strategies.speech.best_of_takes import Takes
from server.pipeline.tasks.base import Bound, Choice, Resolver, TaskRules, exactly

SLOWEST_SPEECH = Decimal("0.5")
"""Seconds of audio that a character makes at most at speed 1: what a take's reading back may cost is held by it."""


class SpeechRules(TaskRules[SpeechJob]):
    def plan(self, choice: Choice, job: SpeechJob, catalog: Resolver) -> Plan:
        mode = choice.settings
        if isinstance(mode, SpeechMode):
            job = replace(
                job,
                noise_scale=mode.noise_scale if job.noise_scale is None else job.noise_scale,
                noise_w=mode.noise_w if job.noise_w is None else job.noise_w,
                instead=mode.voices,
            )
        if not isinstance(mode, TakesMode) or mode.takes == 1:
            return choice.plan(job, Single(job))
        if mode.transcriber is None:
            note = "one take, since no transcription model is configured to read takes back"
            return choice.plan(job, Single(job), note=note)
        try:
            reader = catalog.resolve(mode.transcriber, Task.TRANSCRIPTION)
        except ModelNotFound:
            note = f"one take, since the transcription model {mode.transcriber} is not installed"
            return choice.plan(job, Single(job), note=note)
        return choice.plan(job, Takes(job, choice.spec, reader, mode.takes))

    def size(self, plan: Plan) -> float:
        """Characters."""
        assert isinstance(plan.job, SpeechJob)
        return float(len(plan.job.text) * plan.passes[0].answers)

    def bound(self, plan: Plan, facts: Facts) -> Bound:  # noqa: ARG002 - the text says all
        return exactly(self._most(plan, planned) for planned in plan.passes)

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:
        if planned.by is None:
            return usage.characters * plan.price.character
        # Never more than was foreseen: a take that will not end is the server's trouble.
        return min(self._most(plan, planned), Decimal(str(usage.audio_seconds)) * planned.by[1].audio_second)

    @staticmethod
    def _most(plan: Plan, planned: PlannedPass) -> Decimal:
        job = plan.job
        assert isinstance(job, SpeechJob)
        if planned.by is None:
            return planned.answers * len(job.text) * plan.price.character
        seconds = len(job.text) * SLOWEST_SPEECH / Decimal(str(job.speed)) + 1
        return planned.answers * seconds * planned.by[1].audio_second
