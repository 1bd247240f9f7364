"""A job of an image model, checked, and the arguments of the pipeline's call that come of it."""

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image

from server.core import ImageJob
from server.engines.denoising import Denoising
from server.engines.image_sizes import Size
from server.engines.pipeline_form import Form

SEEDS = 2**63
"""Seeds are whole numbers below this; the next one after the last is 0."""


@dataclass(frozen=True, slots=True)
class Order:
    """form: of the pipeline that draws; seat: its scheduler's. target: the size of the files; drawn: of what the
    pipeline makes. starts: pictures of the drawn size to begin from, one for each that is asked for; or none."""

    job: ImageJob
    form: Form
    seat: Denoising
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
        }
        if self.form.guidance_parameter is not None:
            arguments[self.form.guidance_parameter] = self.guidance
        if job.negative_prompt is not None:
            arguments["negative_prompt"] = job.negative_prompt if repeated == 1 else [job.negative_prompt] * repeated
        if self.starts:
            arguments["image"] = [self.starts[index] for index in indexes]
        if self.starts and job.strength is not None:
            arguments["strength"] = job.strength
            # Only that part of the steps is done, rounded down: pipelines fail where nothing is left.
            arguments["num_inference_steps"] = max(self.steps, math.floor(1 / job.strength) + 1)
        return {name: value for name, value in arguments.items() if name in takes}
