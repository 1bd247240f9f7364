"""What work costs, in credits: pure functions of a plan and of what was used. Decimals throughout.

How is each task's own, in server/pipeline/tasks/.
"""

from decimal import Decimal

from server.core import Facts, Usage
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.tasks import TASKS
from server.pipeline.tasks.base import Bound


def bound(plan: Plan, facts: Facts) -> Bound:
    """Bounds of what the plan's passes cost, known before the work begins."""
    return TASKS[plan.job.task].bound(plan, facts)


def foreseen(plan: Plan) -> Bound:
    """What the plan will ask for as far as the job alone tells: without its prompt, and without an audio's length."""
    return TASKS[plan.job.task].foreseen(plan)


def least(plan: Plan) -> Decimal:
    """What the smallest answer costs that could come of the plan."""
    return TASKS[plan.job.task].least(plan)


def affordable_tokens(plan: Plan, facts: Facts, held: Decimal) -> int | None:
    """Tokens that each answer may have for `held` credits; None where the price sets no limit."""
    return TASKS[plan.job.task].limit(plan, facts, held)


def cost(plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:
    """What a pass has used, at the plan's prices, or at those of the other model that did it."""
    return TASKS[plan.job.task].cost(plan, planned, usage)
