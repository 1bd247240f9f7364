"""Transcription and translation: their modes, and what they cost."""

from dataclasses import replace
from decimal import Decimal

from server.core import Facts, TranscriptionJob, Usage
from server.core.money import ZERO
from server.models.config.quality import RelistenedMode, TranscriptionMode
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.single import Single
from server.pipeline.strategies.transcription.listen_again import Relistened
from server.pipeline.tasks.base import Bound, Choice, Resolver, TaskRules, exactly


class TranscriptionRules(TaskRules[TranscriptionJob]):
    def plan(self, choice: Choice, job: TranscriptionJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - no other model
        mode = choice.settings
        if isinstance(mode, TranscriptionMode):
            job = replace(
                job,
                beam_size=job.beam_size or mode.beam_size,
                fallback=job.fallback and mode.fallback,
                vad=mode.vad if job.vad is None else job.vad,
            )
        return choice.plan(job, Relistened(job, mode) if isinstance(mode, RelistenedMode) else Single(job))

    def size(self, plan: Plan) -> float:
        """Bytes of audio: its length is known once it is read."""
        assert isinstance(plan.job, TranscriptionJob)
        return float(len(plan.job.audio))

    def bound(self, plan: Plan, facts: Facts) -> Bound:
        return exactly(_price(plan, facts.audio_seconds) for _ in plan.passes)

    def least(self, plan: Plan) -> Decimal:
        """Some audio costs something; nobody knows yet how much there is."""
        return Decimal("0.000000001") if plan.price.audio_second else ZERO

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:  # noqa: ARG002 - all passes cost alike
        return _price(plan, usage.audio_seconds)


def _price(plan: Plan, seconds: float) -> Decimal:
    # By the number as it is written: 7.61 s are 7.61 s, and not the nearest double.
    return Decimal(str(seconds)) * plan.price.audio_second
