"""Embeddings: one mode, paid by the tokens that are read."""

from decimal import Decimal

from server.core import EmbeddingJob, Facts, Usage
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import CHARACTERS_A_TOKEN, Bound, Choice, Resolver, TaskRules, exactly


class EmbeddingRules(TaskRules[EmbeddingJob]):
    def plan(self, choice: Choice, job: EmbeddingJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - no other model
        return choice.plan(job, Single(job))

    def size(self, plan: Plan) -> float:
        """Tokens."""
        assert isinstance(plan.job, EmbeddingJob)
        return sum(len(one) / CHARACTERS_A_TOKEN if isinstance(one, str) else len(one) for one in plan.job.inputs)

    def bound(self, plan: Plan, facts: Facts) -> Bound:
        return exactly([facts.prompt_tokens * plan.price.prompt_token])

    def foreseen(self, plan: Plan) -> Bound:
        """No input is empty."""
        assert isinstance(plan.job, EmbeddingJob)
        return self.bound(plan, Facts(prompt_tokens=len(plan.job.inputs)))

    def least(self, plan: Plan) -> Decimal:
        return self.foreseen(plan).least

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:  # noqa: ARG002 - there is one pass
        return usage.prompt_tokens * plan.price.prompt_token
