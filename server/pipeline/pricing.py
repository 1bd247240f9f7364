"""What work costs, in credits: pure functions of a plan and of what was used. Decimals throughout."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from server.core import Accepted, ChatJob, ImageJob, SpeechJob, TranscriptionJob, Usage
from server.models.spec import DiffusersModel
from server.pipeline.modes import Plan

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bound:
    """Between what a job costs at least to be worth beginning, and at most.

    They differ for a chat whose client set no limit: its answer is then as long as the balance affords.
    """

    most: Decimal
    least: Decimal


def bound(plan: Plan, accepted: Accepted) -> Bound:
    """Upper bound of what the plan costs, known before the work begins."""
    price, job = plan.price, plan.job
    match job:
        case ChatJob():
            prompt = accepted.prompt_tokens * price.prompt_token
            token = job.n * price.completion_token
            most = prompt + (accepted.room or 0) * token
            return Bound(most, most if plan.limited else prompt + token)
        case TranscriptionJob():
            most = Decimal(str(accepted.audio_seconds)) * price.audio_second
        case SpeechJob():
            most = len(job.text) * price.character
        case ImageJob():
            most = job.n * image_cost(plan)
    return Bound(most, most)


def foreseen(plan: Plan) -> Bound:
    """What the plan will ask for as far as the job alone tells: without its prompt, and without an audio's length."""
    tokens = plan.job.max_tokens if isinstance(plan.job, ChatJob) else None
    return bound(plan, Accepted(room=tokens or 1))


def affordable_tokens(plan: Plan, accepted: Accepted, held: Decimal) -> int | None:
    """Tokens that each answer may have for `held` credits; None where the price sets no limit."""
    job = plan.job
    if not isinstance(job, ChatJob) or plan.price.completion_token == 0:
        return None
    left = held - accepted.prompt_tokens * plan.price.prompt_token
    return int((left / (job.n * plan.price.completion_token)).to_integral_value(ROUND_DOWN))


def cost(plan: Plan, usage: Usage) -> Decimal:
    """What was used, at the plan's prices."""
    price = plan.price
    match plan.job:
        case ChatJob():
            return usage.prompt_tokens * price.prompt_token + usage.completion_tokens * price.completion_token
        case TranscriptionJob():
            return Decimal(str(usage.audio_seconds)) * price.audio_second
        case SpeechJob():
            return usage.characters * price.character
        case ImageJob():
            return usage.images * image_cost(plan)


def image_cost(plan: Plan) -> Decimal:
    """One image: its area against the model's own size, and its denoising steps."""
    price, job, spec = plan.price, plan.job, plan.spec
    if not isinstance(job, ImageJob):
        return ZERO
    if not isinstance(spec, DiffusersModel):
        return price.image + (job.steps or 0) * price.image_step
    own_width, own_height = spec.size
    area = Decimal((job.width or own_width) * (job.height or own_height)) / Decimal(own_width * own_height)
    return price.image * area + (job.steps or spec.steps) * price.image_step
