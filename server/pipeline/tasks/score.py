"""Scores of documents for queries: one mode, paid by the tokens that are read."""

from decimal import Decimal

from server.core import Facts, ScoreJob, Usage
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import CHARACTERS_A_TOKEN, Bound, Choice, Resolver, TaskRules, exactly


class ScoreRules(TaskRules[ScoreJob]):
    def plan(self, choice: Choice, job: ScoreJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - no other model
        return choice.plan(job, Single(job))

    def size(self, plan: Plan) -> float:
        """Tokens, as if each query were read once."""
        assert isinstance(plan.job, ScoreJob)
        return sum(map(len, plan.job.queries + plan.job.documents)) / CHARACTERS_A_TOKEN

    def bound(self, plan: Plan, facts: Facts) -> Bound:
        return exactly([facts.prompt_tokens * plan.price.prompt_token])

    def foreseen(self, plan: Plan) -> Bound:
        """No document is empty."""
        assert isinstance(plan.job, ScoreJob)
        return self.bound(plan, Facts(prompt_tokens=len(plan.job.documents)))

    def least(self, plan: Plan) -> Decimal:
        return self.foreseen(plan).least

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:  # noqa: ARG002 - there is one pass
        return usage.prompt_tokens * plan.price.prompt_token
