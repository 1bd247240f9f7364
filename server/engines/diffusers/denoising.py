"""A seat inside any diffusion loop: after each step of a pipeline's scheduler, what the picture looks like so far.

Every pipeline class calls its scheduler's `step`, while callbacks and their arguments differ between classes and
never carry the predicted clean sample. The scheduler knows it, so that is where this listens.
"""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from server.engines.diffusers.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Step:
    """One step taken. done, total: scheduler steps, 1 ≤ done ≤ total; latents: the best guess at the clean sample."""

    done: int
    total: int
    latents: Any


class Denoising:
    """The scheduler of one pipeline, overheard. Used by one thread at a time, as the pipeline itself."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self._listener: Callable[[Step], None] | None = None
        self._keeping: Keeping | None = None
        self._done = 0
        take_step = scheduler.step

        # Pipelines inspect the signature of `step` to learn what it takes; `wraps` keeps it.
        @functools.wraps(take_step)
        def step(*args: Any, **kwargs: Any) -> Any:
            result = take_step(*args, **kwargs)
            if self._keeping is not None:
                timestep = kwargs.get("timestep", args[1] if len(args) > 1 else None)
                result = self._keeping.put_back(scheduler, result, timestep)
            if self._listener is not None:
                self._done += 1
                total = max(len(scheduler.timesteps), self._done)
                self._listener(Step(self._done, total, clean_sample(scheduler, result, args, kwargs)))
            return result

        scheduler.step = step

    @property
    def most_steps(self) -> int | None:
        """Steps that the scheduler can set at most; None where it does not say."""
        config = self.scheduler.config
        limits = [getattr(config, name, None) for name in ("num_train_timesteps", "original_inference_steps")]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def taken(self) -> int:
        """Steps taken since the last listener began."""
        return self._done

    @contextmanager
    def heard_by(self, listener: Callable[[Step], None], keeping: Keeping | None = None) -> Generator[None]:
        """Call `listener` after each step within the block. What it raises ends the loop.

        keeping: puts back after each step what is not to be redrawn.
        """
        self._listener, self._keeping, self._done = listener, keeping, 0
        try:
            with nullcontext() if keeping is None else keeping.listening(self.scheduler):
                yield
        finally:
            self._listener = self._keeping = None


def clean_sample(scheduler: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The scheduler's estimate of the finished latents after a step; the noisy latents where it makes none.

    args, kwargs: of the call of `step`, whose order (model_output, timestep, sample) all schedulers share.
    """
    estimate = result[1] if isinstance(result, tuple) and len(result) > 1 else None
    for name in ("pred_original_sample", "denoised"):
        estimate = getattr(result, name, None) if estimate is None else estimate
    if estimate is not None:
        return estimate
    model_output = kwargs.get("model_output", args[0] if args else None)
    sample = kwargs.get("sample", args[2] if len(args) > 2 else None)
    kind = type(scheduler).__name__
    if kind == "FlowMatchEulerDiscreteScheduler" and scheduler.step_index:
        # Rectified flow: x_t = (1 - sigma) x_0 + sigma noise and the model tells noise - x_0 (arXiv 2209.03003).
        return sample - scheduler.sigmas[scheduler.step_index - 1] * model_output
    if kind == "DPMSolverMultistepScheduler" and scheduler.config.algorithm_type.endswith("++"):
        return scheduler.model_outputs[-1]  # DPM-Solver++ works on predicted clean samples (arXiv 2211.01095)
    if kind == "UniPCMultistepScheduler" and scheduler.config.predict_x0:
        return scheduler.model_outputs[-1]  # so does UniPC, by default (arXiv 2302.04867)
    return result[0] if isinstance(result, tuple) else result.prev_sample


def decoded(pipeline: Any, latents: Any, width: int, height: int) -> Any | None:
    """Latents as pixels: an array of shape (batch, height, width, channels), 0–1. None for latents of another form."""
    autoencoder = getattr(pipeline, "vae", None)
    processor = getattr(pipeline, "image_processor", None)
    if autoencoder is None or processor is None:
        return None
    if latents.ndim == 3 and hasattr(pipeline, "_unpack_latents"):
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
    if latents.ndim != 4:
        return None
    config = autoencoder.config
    latents = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
    with _enough_range(pipeline, autoencoder):
        pixels = autoencoder.decode(latents.to(autoencoder.dtype), return_dict=False)[0]
    return processor.postprocess(pixels, output_type="np")


@contextmanager
def _enough_range(pipeline: Any, autoencoder: Any) -> Generator[None]:
    """SDXL's autoencoder overflows in float16: its pipelines decode in float32, and put it back afterwards."""
    narrow = str(autoencoder.dtype) == "torch.float16" and getattr(autoencoder.config, "force_upcast", False)
    if not narrow or not hasattr(pipeline, "upcast_vae"):
        yield
        return
    autoencoder.float()
    try:
        yield
    finally:
        autoencoder.half()
