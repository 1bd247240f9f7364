"""What work costs, in credits: pure functions of a plan and of what was used. Decimals throughout."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from server.core import Accepted, ChatJob, ImageJob, Job, SpeechJob, TranscriptionJob, Usage
from server.models.config.spec import DiffusersModel, ModelSpec, Price
from server.pipeline.plan import Plan, PlannedPass

ZERO = Decimal(0)

SLOWEST_SPEECH = Decimal("0.5")
"""Seconds of audio that a character makes at most at speed 1: what a take's reading back may cost is held by it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Between what a job costs at least to be worth beginning, and at most.

    They differ for a chat whose client set no limit: its answer is then as long as the balance affords.
    """

    most: Decimal
    least: Decimal


def bound(plan: Plan, accepted: Accepted) -> Bound:
    """Upper bound of what the plan's passes cost, known before the work begins."""
    if isinstance(plan.job, ChatJob):
        fixed, token = _chat(plan, accepted)
        most = fixed + (accepted.room or 0) * token
        return Bound(most, most if plan.limited else fixed + token)
    most = sum((_most(plan, planned, accepted) for planned in plan.passes), ZERO)
    return Bound(most, most)


def _chat(plan: Plan, accepted: Accepted) -> tuple[Decimal, Decimal]:
    """What a plan costs at most whatever its answer's length, and for each token that an answer may have."""
    price = plan.price
    fixed = token = ZERO
    for planned in plan.passes:
        fixed += planned.prompts * (accepted.prompt_tokens + planned.extra) * price.prompt_token
        token += planned.prompts * planned.reads * price.prompt_token
        if planned.writes is None:
            token += planned.answers * price.completion_token
        else:
            fixed += planned.answers * planned.writes * price.completion_token
    return fixed, token


def _most(plan: Plan, planned: PlannedPass, accepted: Accepted) -> Decimal:
    price, job = plan.price, planned.job or plan.job
    match job:
        case TranscriptionJob():
            return Decimal(str(accepted.audio_seconds)) * price.audio_second
        case SpeechJob() if planned.by is not None:
            seconds = len(job.text) * SLOWEST_SPEECH / Decimal(str(job.speed)) + 1
            return planned.answers * seconds * planned.by[1].audio_second
        case SpeechJob():
            return planned.answers * len(job.text) * price.character
        case ImageJob():
            return planned.answers * image_cost(plan.spec, price, job)
    return ZERO


def foreseen(plan: Plan) -> Bound:
    """What the plan will ask for as far as the job alone tells: without its prompt, and without an audio's length."""
    tokens = plan.job.max_tokens if isinstance(plan.job, ChatJob) else None
    return bound(plan, Accepted(room=tokens or 1))


def affordable_tokens(plan: Plan, accepted: Accepted, held: Decimal) -> int | None:
    """Tokens that each answer may have for `held` credits; None where the price sets no limit."""
    if not isinstance(plan.job, ChatJob):
        return None
    fixed, token = _chat(plan, accepted)
    return int(((held - fixed) / token).to_integral_value(ROUND_DOWN)) if token else None


def cost(plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:
    """What a pass has used, at the plan's prices, or at those of the other model that did it."""
    job = planned.job or plan.job
    if planned.by is not None:
        # Never more than was foreseen: a take that will not end is the server's trouble.
        most = _most(plan, planned, Accepted())
        return min(most, Decimal(str(usage.audio_seconds)) * planned.by[1].audio_second)
    return _cost(plan.spec, plan.price, job, usage)


def _cost(spec: ModelSpec, price: Price, job: Job, usage: Usage) -> Decimal:
    match job:
        case ChatJob():
            return usage.prompt_tokens * price.prompt_token + usage.completion_tokens * price.completion_token
        case TranscriptionJob():
            return Decimal(str(usage.audio_seconds)) * price.audio_second
        case SpeechJob():
            return usage.characters * price.character
        case ImageJob():
            return usage.images * image_cost(spec, price, job)


def image_cost(spec: ModelSpec, price: Price, job: ImageJob) -> Decimal:
    """One image: its area against the model's own size, and its denoising steps, those of a redrawing in part."""
    steps = Decimal(job.steps or (spec.steps if isinstance(spec, DiffusersModel) else 0))
    if job.strength is not None:
        steps = (steps * Decimal(str(job.strength))).to_integral_value()
    if not isinstance(spec, DiffusersModel):
        return price.image + steps * price.image_step
    own_width, own_height = spec.size
    area = Decimal((job.width or own_width) * (job.height or own_height)) / Decimal(own_width * own_height)
    return price.image * area * Decimal(str(job.enlarge)) ** 2 + steps * price.image_step
