"""A job of an image model, checked, and the arguments of the pipeline's call that come of it."""

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image

from server.core import ImageJob
from server.engines.diffusers.denoising import Denoising
from server.engines.diffusers.form import Form
from server.errors import InvalidRequest
from server.media.image_sizes import Size, name

SEEDS = 2**63
"""Seeds are whole numbers below this; the next one after the last is 0."""


@dataclass(frozen=True, slots=True)
class Order:
    """form: of the pipeline that draws; seat: its scheduler's. own: the model's own size; target: of the files; drawn:
    of what the pipeline makes. starts: pictures of the drawn size to begin from, one for each that is asked for, or
    none."""

    job: ImageJob
    form: Form
    seat: Denoising
    own: Size
    target: Size
    drawn: Size
    steps: int
    guidance: float
    seed: int
    starts: tuple[Image.Image, ...] = ()

    def seed_of(self, index: int) -> int:
        return (self.seed + index) % SEEDS

    @property
    def previews(self) -> int:
        """Those wanted; none of a redrawing, whose loop begins in the middle of the scheduler's steps."""
        return 0 if self.starts else self.job.partial_images

    def arguments(self, indexes: range, generators: list[Any]) -> dict[str, Any]:
        """Of the pipeline's call for these pictures, as far as its class takes them. generators: one a picture."""
        job, takes, count = self.job, self.form.takes, len(indexes)
        repeated = 1 if "num_images_per_prompt" in takes and not self.starts else count
        arguments: dict[str, Any] = {
            "prompt": job.prompt if repeated == 1 else [job.prompt] * repeated,
            "num_images_per_prompt": count // repeated,
            "width": self.drawn[0],
            "height": self.drawn[1],
            "num_inference_steps": self.steps,
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
        if self.starts:
            arguments["image"] = [self.starts[index] for index in indexes]
        if self.starts and job.strength is not None:
            arguments["strength"] = job.strength
            # Only that part of the steps is done, rounded down: pipelines fail where nothing is left.
            arguments["num_inference_steps"] = max(self.steps, math.floor(1 / job.strength) + 1)
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
