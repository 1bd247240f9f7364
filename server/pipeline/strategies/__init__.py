"""How the passes of a plan follow each other: one strategy a file, each an async generator of a run's events.

A strategy yields the `Accepted` of its first pass first, then the task's events, then the Usage of all passes; what
is due by then is held in between. It sees the plan and the engine through `Work` and knows no client.
"""

from collections.abc import AsyncGenerator, Callable, Mapping

from server.core import Event
from server.pipeline.passes import Work
from server.pipeline.plan import Strategy
from server.pipeline.strategies.candidates import candidates
from server.pipeline.strategies.checked import checked
from server.pipeline.strategies.refined import refined
from server.pipeline.strategies.relistened import relistened
from server.pipeline.strategies.takes import takes


def single(work: Work) -> AsyncGenerator[Event, None]:
    """One pass, which is the answer."""
    return work.stream("answer", work.plan.job)


STRATEGIES: Mapping[Strategy, Callable[[Work], AsyncGenerator[Event, None]]] = {
    Strategy.SINGLE: single,
    Strategy.CHECKED: checked,
    Strategy.DRAFTS: refined,
    Strategy.REFINED: refined,
    Strategy.CANDIDATES: candidates,
    Strategy.RELISTENED: relistened,
    Strategy.TAKES: takes,
}
