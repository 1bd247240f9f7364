"""A job of an image model, checked, and the arguments of the pipeline's call that come of it."""

import math
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

    def keeping(self, indexes: range) -> Keeping | None:
        """What puts back the parts of these pictures that are not redrawn; None where there are none."""
        if self.job.mask is None:
            return None
        masks = [mask for index in indexes if (mask := self.canvas(index).mask) is not None]
        return Keeping(self.form.pipeline, masks)

    def arguments(self, indexes: range, generators: list[Any]) -> dict[str, Any]:
        """Of the pipeline's call for these pictures, as far as its class takes them. generators: one a picture."""
        job, takes, count = self.job, self.form.takes, len(indexes)
        repeated = 1 if "num_images_per_prompt" in takes and not self.canvases else count
        arguments: dict[str, Any] = {
            "prompt": job.prompt if repeated == 1 else [job.prompt] * repeated,
            "num_images_per_prompt": count // repeated,
            "width": self.drawn[0],
            "height": self.drawn[1],
            "num_inference_steps": self.scheduled,
            "generator": generators,
            "output_type": "np",
            # PixArt and its kin would rewrite prompts, by a package that is not here.
            "clean_caption": False,
        }
        if self.form.guidance_parameter is not None:
            arguments[self.form.guidance_parameter] = self.guidance
        negative = job.negative_prompt
        if negative is None and self.form.guidance_parameter == "true_cfg_scale" and self.guidance > 1:
            # Without one these pipelines leave guidance out; a blank is what their models were trained to be guided by.
            negative = " "
        if negative is not None:
            arguments["negative_prompt"] = negative if repeated == 1 else [negative] * repeated
        if self.canvases:
            arguments["image"] = [self.canvas(index).start for index in indexes]
        if self.canvases and job.strength is not None:
            arguments["strength"] = job.strength
        return {parameter: value for parameter, value in arguments.items() if parameter in takes}

    def demand(self) -> None:
        """Raises InvalidRequest if the pipeline's own check of its arguments says that it would refuse the call. It
        names the field of which another value alone would mend it."""
        arguments, check = self.arguments(range(1), []), self.form.check
        reason = check.refusal(arguments)
        if reason is None:
            return
        harmless: dict[str, dict[str, Any]] = {
            "size": {"width": self.own[0], "height": self.own[1]},
            "steps": {"num_inference_steps": 30},
            "guidance": {str(self.form.guidance_parameter): 7.5},
            "negative_prompt": {"negative_prompt": None},
            "prompt": {"prompt": "a"},
        }
        mending = (field for field, change in harmless.items() if check.refusal(arguments | change) is None)
        raise InvalidRequest(f"The model's pipeline refuses this request: {reason}", param=next(mending, None))

    def refused(self, sizes: str) -> InvalidRequest:
        """What to say when the pipeline has refused the call itself. sizes: those that the model can give."""
        if self.target != self.own:
            return InvalidRequest(f"The model's pipeline refuses {self}. Sizes it can give: {sizes}.", param="size")
        return InvalidRequest(f"The model's pipeline refuses {self}.", param="steps" if self.job.steps else None)

    def __str__(self) -> str:
        return f"a picture of {name(self.drawn)} in {self.steps} step{'s' * (self.steps != 1)}"
