"""Which mode `auto` means for a job: a pure function of the request, the model's config and how busy the model is.

Each task has its own rules for what it wants; each tells its reason, which the client gets as `x-quality-reason`. See
docs/decisions/006-quality-modes.md for why each is there.
"""

from server.core import Job, Quality
from server.models.config.quality import RANKS, Auto
from server.pipeline.tasks import TASKS


def choose(job: Job, auto: Auto, load: float, *, streamed: bool = False) -> tuple[Quality, str]:
    """The mode and its reason. load: share of the model's places that are taken, 0 for an idle one."""
    wanted, reason = TASKS[job.task].wanted(job, auto, streamed=streamed)
    lowest, highest = RANKS.index(auto.lowest), RANKS.index(auto.highest)
    rank = min(max(RANKS.index(wanted), lowest), highest)
    if RANKS[rank] is not wanted:
        reason = f"{reason}; this model's auto goes from {auto.lowest} to {auto.highest}"
    if load >= auto.busy and rank > lowest:
        return RANKS[rank - 1], f"busy ({load:.0%}): one less than {RANKS[rank]} ({reason})"
    return RANKS[rank], reason
