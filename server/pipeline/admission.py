"""May this caller do this, and can they pay? The door between a plan and its work.

Today it knows scopes only; rate limits and credits enter here, and nowhere else.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from server.core import Caller, Usage
from server.errors import ModelNotFound, PermissionDenied
from server.pipeline.modes import Plan


class Charge:
    """What a request will be billed for. `used` is reported before the charge is closed, on every path."""

    def __init__(self) -> None:
        self.usage: Usage | None = None

    def used(self, usage: Usage) -> None:
        self.usage = usage


class Admission:
    @asynccontextmanager
    async def admit(self, caller: Caller, plan: Plan) -> AsyncGenerator[Charge, None]:
        """Hold what the plan may cost until the block ends.

        Raises PermissionDenied, RateLimited, InsufficientCredits.
        """
        if "inference" not in caller.scopes:
            raise PermissionDenied("This key has no inference scope.")
        if caller.models is not None and plan.job.model not in caller.models:
            raise ModelNotFound.named(plan.job.model)
        yield Charge()
