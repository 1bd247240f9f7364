"""A pipeline's own scheduler, and those of other classes that may take its place for a job."""

import inspect
import logging
from typing import Any

import diffusers
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers

from server.engines.diffusers.denoising import Denoising
from server.errors import InvalidRequest

log = logging.getLogger(__name__)

_EXCHANGEABLE = {kind.name for kind in KarrasDiffusionSchedulers} | {"LCMScheduler"}
"""Classes that read one another's config: those that diffusers lists, and that of models distilled to few steps."""


class Schedulers:
    """The schedulers of one pipeline, each with its seat to listen from; made when they are first asked for."""

    def __init__(self, own: Any) -> None:
        self._own = own
        self._seats = {type(own).__name__: Denoising(own)}

    def seat(self, name: str | None) -> Denoising:
        """The scheduler of class `name`, None for the pipeline's own. Raises InvalidRequest if it can't take over."""
        name = name or type(self._own).__name__
        if name not in self._seats:
            if not self._may_be(name):
                raise InvalidRequest(
                    f"The config's scheduler for this quality, {name}, can't draw for this model: its own is a "
                    f"{type(self._own).__name__}.",
                    param="quality",
                )
            try:
                self._seats[name] = Denoising(self._made(getattr(diffusers, name)))
            except ImportError as error:
                # diffusers has a stand-in for a class whose libraries aren't there, which says so when it is made.
                log.error("the scheduler %s: %s", name, str(error).strip())
                raise InvalidRequest(
                    f"The config's scheduler for this quality, {name}, needs a package that is not installed here.",
                    param="quality",
                ) from error
        return self._seats[name]

    def _may_be(self, name: str) -> bool:
        # What a model predicts by rectified flow, most of the others can't read.
        config = self._own.config
        flow = config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction"
        return not flow and {name, type(self._own).__name__} <= _EXCHANGEABLE

    def _made(self, kind: Any) -> Any:
        # Some classes clip predictions to ±1 by default, for models of pixels; latents go beyond.
        clips = "clip_sample" in inspect.signature(kind.__init__).parameters and "clip_sample" not in self._own.config
        return kind.from_config(self._own.config, **({"clip_sample": False} if clips else {}))
