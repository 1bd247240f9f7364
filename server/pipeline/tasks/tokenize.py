"""Text to token ids and back: counted by the limits, free of credits."""

from decimal import Decimal

from server.core import DetokenizeJob, Facts, TokenizeJob, Usage
from server.core.money import ZERO
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import Bound, Choice, Resolver, TaskRules


class TokenizeRules(TaskRules[TokenizeJob | DetokenizeJob]):
    def plan(self, choice: Choice, job: TokenizeJob | DetokenizeJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - no other model is needed
        return choice.plan(job, Single(job))

    def size(self, plan: Plan) -> float:  # noqa: ARG002 - nothing is generated
        return 1.0

    def bound(self, plan: Plan, facts: Facts) -> Bound:  # noqa: ARG002 - it is free
        return Bound(ZERO, ZERO)

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:  # noqa: ARG002 - it is free
        return ZERO
