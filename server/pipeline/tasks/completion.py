"""Completions: raw prompts that go on. They have one mode, and cost what a chat's tokens cost."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from server.core import CompletionJob, Facts, Usage
from server.models.config.spec import AdaptedModel, FakeModel, VllmModel
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.completion.best_of import BestOf
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import CHARACTERS_A_TOKEN, Bound, Choice, Resolver, TaskRules, exactly, first


class CompletionRules(TaskRules[CompletionJob]):
    def plan(self, choice: Choice, job: CompletionJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - no other model is needed
        spec = choice.spec
        assert isinstance(spec, VllmModel | FakeModel)
        changes: dict[str, Any] = {
            "temperature": first(job.temperature, spec.defaults.temperature),
            "top_p": first(job.top_p, spec.defaults.top_p),
        }
        if isinstance(spec, AdaptedModel):
            changes["adapter"] = spec.adapter
        job = replace(job, **changes)
        if job.best_of is not None and job.best_of > job.n:
            return choice.plan(job, BestOf(job, job.best_of))
        return choice.plan(job, Single(job, job.answers))

    def size(self, plan: Plan) -> float:
        """Tokens."""
        job = plan.job
        assert isinstance(job, CompletionJob)
        read = sum(
            len(prompt) / CHARACTERS_A_TOKEN if isinstance(prompt, str) else len(prompt) for prompt in job.prompts
        )
        return read + plan.passes[0].answers * (job.max_tokens or 0)

    def bound(self, plan: Plan, facts: Facts) -> Bound:
        """facts: of all prompts together; its room is that of the prompt that leaves most."""
        price = plan.price
        answers = plan.passes[0].answers * (facts.room or 0)
        return exactly([facts.prompt_tokens * price.prompt_token, answers * price.completion_token])

    def foreseen(self, plan: Plan) -> Bound:
        assert isinstance(plan.job, CompletionJob)
        return self.bound(plan, Facts(room=plan.job.max_tokens or 0))

    def least(self, plan: Plan) -> Decimal:
        assert isinstance(plan.job, CompletionJob)
        return plan.price.prompt_token + min(plan.job.max_tokens or 0, 1) * plan.price.completion_token

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:  # noqa: ARG002 - there is one pass
        price = plan.price
        return usage.prompt_tokens * price.prompt_token + usage.completion_tokens * price.completion_token
