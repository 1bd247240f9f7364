"""A job of an image model, checked, and the arguments of the pipeline's call that come of such jobs."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from server.core import ImageJob
from server.engines.diffusers.canvas import Canvas
from server.engines.diffusers.denoising import Denoising
from server.engines.diffusers.form import Form
from server.engines.diffusers.keeping import Keeping
from server.errors import InvalidRequest
from server.media.image_sizes import Size, name

SEEDS = 2**63
"""Seeds are whole numbers below this; the next one after the last is 0."""


@dataclass(frozen=True, slots=True)
class Order:
    """form: of the pipeline that draws; seat: its scheduler's. own: the model's own size; target: of the files; drawn:
    of what the pipeline makes. canvases: what is redrawn, one for all pictures or one for each; none where they are
    drawn from noise alone."""

    job: ImageJob
    form: Form
    seat: Denoising
    own: Size
    target: Size
    drawn: Size
    steps: int
    guidance: float
    seed: int
    canvases: tuple[Canvas, ...] = ()

    def seed_of(self, index: int) -> int:
        return (self.seed + index) % SEEDS

    def canvas(self, index: int) -> Canvas:
        """What picture `index` begins from, where there is something."""
        return self.canvases[index if len(self.canvases) > 1 else 0]

    def share(self, steps: int) -> int:
        """How many of the scheduler's steps are taken: a redrawing begins in the middle of them."""
        if not self.canvases or self.job.strength is None or "strength" not in self.form.takes:
            return steps
        return max(1, math.floor(steps * self.job.strength))

    @property
    def scheduled(self) -> int:
        """Steps that the scheduler sets. Of a redrawing only the share `strength` is done, rounded down, and pipelines
        fail where nothing is left."""
        if not self.canvases or self.job.strength is None:
            return self.steps
        return max(self.steps, math.floor(1 / self.job.strength) + 1)

    @property
    def company(self) -> Hashable:
        """Equal for orders that one call of the pipeline can draw: it takes one number of steps, one guidance scale and
        one strength, some classes read no negative prompt at all otherwise than an empty one, and with some a picture
        depends on the other prompts of its call."""
        job = self.job
        redrawn = (job.strength, job.mask is not None) if self.canvases else None
        prompts = (job.prompt, self.negative) if self.form.lengthens else self.negative is None
        return self.form, self.seat, self.drawn, self.scheduled, self.guidance, prompts, redrawn

    @property
    def kind(self) -> Hashable:
        return self.form

    @property
    def count(self) -> int:
        return self.job.n

    @property
    def pixels(self) -> int:
        return self.drawn[0] * self.drawn[1]

    @property
    def negative(self) -> str | None:
        """The negative prompt that the call gets."""
        if self.job.negative_prompt is None and self.form.guidance_parameter == "true_cfg_scale" and self.guidance > 1:
            # Without one these pipelines leave guidance out; a blank is what their models were trained to be guided by.
            return " "
        return self.job.negative_prompt

    def demand(self) -> None:
        """Raises InvalidRequest if the pipeline's own check of its arguments says that it would refuse the call. It
        names the field of which another value alone would mend it."""
        asked, check = arguments([(self, 0)], []), self.form.check
        reason = check.refusal(asked)
        if reason is None:
            return
        harmless: dict[str, dict[str, Any]] = {
            "size": {"width": self.own[0], "height": self.own[1]},
            "steps": {"num_inference_steps": 30},
            "guidance": {str(self.form.guidance_parameter): 7.5},
            "negative_prompt": {"negative_prompt": None},
            "prompt": {"prompt": "a"},
        }
        mending = (field for field, change in harmless.items() if check.refusal(asked | change) is None)
        raise InvalidRequest(f"The model's pipeline refuses this request: {reason}", param=next(mending, None))

    def refused(self, sizes: str) -> InvalidRequest:
        """What to say when the pipeline has refused the call itself. sizes: those that the model can give."""
        if self.target != self.own:
            return InvalidRequest(f"The model's pipeline refuses {self}. Sizes it can give: {sizes}.", param="size")
        return InvalidRequest(f"The model's pipeline refuses {self}.", param="steps" if self.job.steps else None)

    def __str__(self) -> str:
        return f"a picture of {name(self.drawn)} in {self.steps} step{'s' * (self.steps != 1)}"


def arguments(pictures: Sequence[tuple[Order, int]], generators: list[Any]) -> dict[str, Any]:
    """Of one call of the pipeline, as far as its class takes them. pictures: orders of one company, each with the index
    of a picture of it. generators: one a picture."""
    first, count = pictures[0][0], len(pictures)
    takes, parameter = first.form.takes, first.form.guidance_parameter
    alone = all(order is first for order, _ in pictures)
    repeated = 1 if alone and "num_images_per_prompt" in takes and not first.canvases else count
    asked: dict[str, Any] = {
        "prompt": first.job.prompt if repeated == 1 else [order.job.prompt for order, _ in pictures],
        "num_images_per_prompt": count // repeated,
        "width": first.drawn[0],
        "height": first.drawn[1],
        "num_inference_steps": first.scheduled,
        "generator": generators,
        "output_type": "np",
        # PixArt and its kin would rewrite prompts, by a package that is not here.
        "clean_caption": False,
    }
    if parameter is not None:
        asked[parameter] = first.guidance
    if first.negative is not None:
        asked["negative_prompt"] = first.negative if repeated == 1 else [order.negative for order, _ in pictures]
    if first.canvases:
        asked["image"] = [order.canvas(index).start for order, index in pictures]
        if first.job.strength is not None:
            asked["strength"] = first.job.strength
    return {name: value for name, value in asked.items() if name in takes}


def keeping(pictures: Sequence[tuple[Order, int]]) -> Keeping | None:
    """What puts back the parts of these pictures that are not redrawn; None where there are none."""
    first = pictures[0][0]
    if first.job.mask is None:
        return None
    masks = [mask for order, index in pictures if (mask := order.canvas(index).mask) is not None]
    return Keeping(first.form.pipeline, masks)
