"""Images: their modes, what they cost, and when auto draws with more care."""

from dataclasses import replace
from decimal import Decimal

from server.core import Facts, ImageJob, Quality, Usage
from server.media.image_sizes import Size, near, parse
from server.models.config.quality import Auto, CandidatesMode, ImageMode
from server.models.config.spec import DiffusersModel, ModelSpec, Price
from server.pipeline.plan import Plan, PlannedPass
from server.pipeline.strategies.image.best_of_candidates import Candidates
from server.pipeline.strategies.single import Single
from server.pipeline.tasks.base import Bound, Choice, Resolver, TaskRules, exactly, first


class ImageRules(TaskRules[ImageJob]):
    def wanted(self, job: ImageJob, auto: Auto, *, streamed: bool) -> tuple[Quality, str]:  # noqa: ARG002 - drawn alike
        if "length" in auto.high_for and len(job.prompt) >= auto.long:
            return Quality.HIGH, "a long prompt"
        return Quality.MEDIUM, "nothing asks for more"

    def plan(self, choice: Choice, job: ImageJob, catalog: Resolver) -> Plan:  # noqa: ARG002 - no other model
        spec, mode = choice.spec, choice.settings
        if isinstance(mode, ImageMode):
            steps = mode.steps
            if steps is None and isinstance(spec, DiffusersModel):
                steps = max(1, round(spec.steps * mode.effort))
            job = replace(
                job,
                steps=job.steps or steps,
                guidance=first(job.guidance, mode.guidance),
                scheduler=job.scheduler or mode.scheduler,
            )
        if not isinstance(mode, CandidatesMode) or mode.candidates == 1:
            return choice.plan(job, Single(job, job.n))
        redrawn = None
        if mode.refine > 0 and isinstance(spec, DiffusersModel):
            redrawn = replace(job, strength=mode.refine, enlarge=mode.enlarge, partial_images=0)
        return choice.plan(job, Candidates(job, mode.candidates, redrawn))

    def size(self, plan: Plan) -> float:
        """Pictures times steps."""
        assert isinstance(plan.job, ImageJob)
        return float(sum(planned.answers for planned in plan.passes) * (plan.job.steps or 1))

    def bound(self, plan: Plan, facts: Facts) -> Bound:  # noqa: ARG002 - the job says all
        return exactly(planned.answers * _picture(plan, planned) for planned in plan.passes)

    def cost(self, plan: Plan, planned: PlannedPass, usage: Usage) -> Decimal:
        return usage.images * _picture(plan, planned)


def _picture(plan: Plan, planned: PlannedPass) -> Decimal:
    job = planned.job or plan.job
    assert isinstance(job, ImageJob)
    return image_cost(plan.spec, plan.price, job)


def image_cost(spec: ModelSpec, price: Price, job: ImageJob) -> Decimal:
    """What one image costs: `image` for the model's own size and by area for others, and `image_step` for each step.

    An image of twice the width and height costs four times `image`; its steps cost what they cost. A redrawing does a
    part of the steps, by its strength, and pays for those; without a size it costs what the model's size costs that is
    nearest to the picture's.
    """
    steps = Decimal(job.steps or (spec.steps if isinstance(spec, DiffusersModel) else 0))
    if job.strength is not None:
        steps = (steps * Decimal(str(job.strength))).to_integral_value()
    if not isinstance(spec, DiffusersModel):
        return price.image + steps * price.image_step
    width, height = _size(spec, job)
    area = Decimal(width * height) / Decimal(spec.size[0] * spec.size[1])
    return price.image * area * Decimal(str(job.enlarge)) ** 2 + steps * price.image_step


def _size(spec: DiffusersModel, job: ImageJob) -> Size:
    own = spec.size
    if job.start_size is not None and job.width is None and job.height is None:
        if not spec.sizes:
            return spec.size  # as many pixels, in another shape
        own = near(job.start_size, spec.size, [size for size in map(parse, spec.sizes) if size is not None])
    return job.width or own[0], job.height or own[1]
