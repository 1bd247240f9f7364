"""A diffusers pipeline as far as its class tells what it can do, and the form of it that redraws pictures."""

import inspect
import logging
from typing import Any

from server.errors import InvalidRequest

log = logging.getLogger(__name__)


class Form:
    """A pipeline and what its call takes. Forms of one pipeline share its weights."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.takes = frozenset(inspect.signature(pipeline.__call__).parameters)

    @property
    def guidance_parameter(self) -> str | None:
        """The classifier-free scale's name; pipelines of guidance-distilled models take it under the second."""
        return next((name for name in ("guidance_scale", "true_cfg_scale") if name in self.takes), None)

    def redrawing(self) -> "Form":
        """The image-to-image form of a text-to-image pipeline. Raises InvalidRequest where diffusers has none."""
        # It imports every pipeline that has such a form, which only those who redraw should pay for.
        from diffusers import AutoPipelineForImage2Image

        try:
            pipeline = AutoPipelineForImage2Image.from_pipe(self.pipeline)
        except ValueError as error:
            log.warning("no image to image with a %s: %s", type(self.pipeline).__name__, error)
            raise InvalidRequest("This model can't draw a picture over.", param="quality") from error
        pipeline.set_progress_bar_config(disable=True)
        return Form(pipeline)
