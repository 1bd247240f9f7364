"""A diffusers pipeline as far as its class tells what it can do, and the form of it that redraws pictures."""

import inspect
import logging
import math
from typing import Any

from server.core import ImageJob
from server.engines.diffusers.check import InputCheck
from server.errors import InvalidRequest
from server.media.image_sizes import Size

log = logging.getLogger(__name__)

_COARSEST = 256
"""Pixels: no pipeline asks for sizes in coarser steps."""

_LENGTHENED = frozenset({"CogView4Pipeline"})
"""Classes that pad the prompts of a call to the longest one, and let the denoiser read the padding like words."""


class Form:
    """A pipeline and what its call takes. Forms of one pipeline share its weights.

    lengthens: whether a picture depends on how long the other prompts of its call are.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.check = InputCheck(pipeline)
        self.lengthens = type(pipeline).__name__ in _LENGTHENED
        # Of an offload by parts. While it draws, the pipeline has none for moments.
        self._offloads = list(getattr(pipeline, "_all_hooks", ()))
        self._parameters = inspect.signature(pipeline.__call__).parameters
        self.takes = frozenset(self._parameters)
        self.guidance_parameter = self._guidance_parameter()

    def redrawing(self) -> "Form":
        """The image-to-image form of a text-to-image pipeline. Raises InvalidRequest where diffusers has none."""
        if getattr(_config(self.pipeline, "vae"), "in_channels", 3) != 3:
            raise _cant_redraw()
        # It imports every pipeline that has such a form, which only those who redraw should pay for.
        from diffusers import AutoPipelineForImage2Image

        try:
            pipeline = AutoPipelineForImage2Image.from_pipe(self.pipeline)
        except ValueError as error:
            log.warning("no image to image with a %s: %s", type(self.pipeline).__name__, error)
            raise _cant_redraw() from error
        pipeline.set_progress_bar_config(disable=True)
        if self._offloads and pipeline.model_cpu_offload_seq is not None:
            # Its parts are offloaded, of which it knows nothing: the last one that it uses would stay on the GPU. They
            # can't be offloaded once more here, since they may be at work.
            pipeline._all_hooks, pipeline._offload_device = self._offloads, self.pipeline._offload_device
        return Form(pipeline)

    def demand(self, job: ImageJob, guidance: float) -> None:
        """Raises InvalidRequest for what the request says and the pipeline would take no notice of."""
        if job.mask is not None and "strength" not in self.takes:
            raise InvalidRequest("This model can't redraw a part of a picture.", param="mask")
        if job.steps is not None and "num_inference_steps" not in self.takes:
            raise InvalidRequest("This model takes no number of steps.", param="steps")
        if job.seed is not None and "generator" not in self.takes:
            raise InvalidRequest("This model takes no seed.", param="seed")
        if job.guidance is not None and self.guidance_parameter is None:
            raise InvalidRequest("This model takes no guidance scale.", param="guidance")
        if job.negative_prompt is None:
            return
        if "negative_prompt" not in self.takes or not self.contrasts(math.inf):
            raise InvalidRequest("This model takes no negative prompt.", param="negative_prompt")
        if not self.contrasts(guidance):
            raise InvalidRequest(
                f"This model takes no notice of a negative prompt at a guidance of {guidance:g}.",
                param="negative_prompt",
            )

    # ------------------------------------------------------------ sizes

    def step(self, own: Size) -> int:
        """Pixels that width and height must be multiples of. own: a size near which the pipeline is asked.

        Latents are so many pixels a side, patches of a transformer so many latents; some classes say it by their
        image processor (FLUX, which packs latents by two), and some ask for more in `check_inputs` (SDXL: 8, always).
        """
        processor = getattr(self.pipeline, "image_processor", None)
        step = 1 if processor is None else int(processor.config.vae_scale_factor)
        step = math.lcm(step, self._latent * self._patch)
        candidate = step
        while candidate <= _COARSEST:
            unit = math.lcm(_COARSEST, candidate)
            width, height = (math.ceil(length / unit) * unit + candidate for length in own)
            if self.check.refusal({"prompt": "a", "width": width, "height": height}) is None:
                return candidate
            candidate *= 2
        return step

    @property
    def longest(self) -> int | None:
        """Pixels of the longest side that a transformer has learned positions for; None if there is no such bound."""
        embedding = getattr(getattr(self.pipeline, "transformer", None), "pos_embed", None)
        if getattr(embedding, "pos_embed_max_size", None) is None:
            return None
        # SD3 keeps its square of positions in a row, as AuraFlow, which counts all of them; CogView3 as a square.
        rows, columns = embedding.pos_embed.shape[:2]  # type: ignore[union-attr]
        return (rows if rows > 1 else math.isqrt(columns)) * self._patch * self._latent

    @property
    def _latent(self) -> int:
        """Pixels that one latent stands for, along a side."""
        factor = getattr(self.pipeline, "vae_scale_factor", None)
        return factor if isinstance(factor, int) else 1

    @property
    def _patch(self) -> int:
        """Latents that a transformer reads as one, along a side."""
        patch = getattr(_config(self.pipeline, "transformer"), "patch_size", None)
        return patch if isinstance(patch, int) else 1

    # ------------------------------------------------------------ guidance

    def _guidance_parameter(self) -> str | None:
        """The parameter by which this model is guided; None if it is not, whatever its call takes."""
        true_scale = self._parameters.get("true_cfg_scale")
        if "guidance_scale" in self.takes and (self._distilled or (true_scale is None and self.contrasts(math.inf))):
            return "guidance_scale"
        # FLUX takes it too, but is made for no guidance (schnell), or for that which it has learned (dev): 1, the
        # default, is off. For Qwen-Image it is the one.
        if true_scale is not None and ("guidance_scale" not in self.takes or true_scale.default > 1):
            return "true_cfg_scale"
        return None

    @property
    def _distilled(self) -> bool | None:
        """Whether the denoiser reads the guidance scale as an input: a model that has learned what guidance brings.
        None where it does not say."""
        embeds = getattr(_config(self.pipeline, "transformer"), "guidance_embeds", None)
        if embeds is None and getattr(_config(self.pipeline, "unet"), "time_cond_proj_dim", None) is not None:
            return True
        return embeds if isinstance(embeds, bool) else None

    def contrasts(self, guidance: float) -> bool:
        """Whether the model draws away from a negative prompt at that guidance scale: pipelines take one and then
        ignore it where they are guided in another way, or not at all."""
        if "true_cfg_scale" in self.takes:
            return self.guidance_parameter == "true_cfg_scale" and guidance > 1
        rule = getattr(type(self.pipeline), "do_classifier_free_guidance", None)
        if isinstance(rule, property) and rule.fget is not None:
            try:
                return bool(rule.fget(_Guided(self.pipeline, guidance)))
            except AttributeError:
                log.debug("do_classifier_free_guidance can't be asked before a call", exc_info=True)
        elif self._distilled is not None:
            return False
        return guidance > 1


class _Guided:
    """A pipeline as it would be at another guidance scale: its own may be at work in another thread."""

    def __init__(self, pipeline: Any, guidance: float) -> None:
        self._pipeline = pipeline
        self._guidance_scale = self.guidance_scale = guidance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)


def _cant_redraw() -> InvalidRequest:
    return InvalidRequest("This model can't redraw a picture: it draws from text alone.", param="model")


def _config(pipeline: Any, part: str) -> Any:
    """The config of a part of the pipeline; None if it has no such part."""
    return getattr(getattr(pipeline, part, None), "config", None)
