"""Redrawing a part of a picture: after each step, what stays is put back, with the noise that the step has left.

Blended latent diffusion (Avrahami et al. 2022, arXiv 2206.02779), by a scheduler and an image-to-image pipeline. It
works with every such class, while diffusers' own for inpainting exist for some, and take latents of 4 channels only.
"""

import functools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from server.errors import InvalidRequest


class Keeping:
    """For one run of a pipeline. What the picture's latents are without noise, and which noise they begin with, it
    hears from the pipeline's own call of the scheduler."""

    def __init__(self, pipeline: Any, masks: Sequence[Image.Image]) -> None:
        """masks: grey, of any size, one for each picture of the batch; 0 where the picture stays."""
        self._pipeline = pipeline
        self._masks = masks
        self._begun: tuple[torch.Tensor, torch.Tensor] | None = None
        self._redrawn: torch.Tensor | None = None

    @contextmanager
    def listening(self, scheduler: Any) -> Generator[None]:
        """Within the block, note what the pipeline has noised."""
        heard = [name for name in ("add_noise", "scale_noise") if hasattr(scheduler, name)]
        for name in heard:
            setattr(scheduler, name, self._noted(getattr(scheduler, name), name))
        try:
            yield
        finally:
            for name in heard:
                delattr(scheduler, name)  # it was the class's own

    def put_back(self, scheduler: Any, result: Any, timestep: Any) -> Any:
        """The result of a step, with what stays as it would be after that step. timestep: that of the step."""
        drawn = result[0] if isinstance(result, tuple) else result.prev_sample
        if self._begun is None:
            raise _cant()
        clean, noise = self._begun
        after = _after(scheduler, timestep)
        kept = clean if after is None else _noised(scheduler, clean, noise, after)
        kept, redrawn = self._packed(kept, drawn), self._mask(clean, drawn)
        blended = torch.where(redrawn, drawn, kept.to(drawn.dtype))
        if isinstance(result, tuple):
            return (blended, *result[1:])
        result.prev_sample = blended
        return result

    def _noted(self, noising: Any, name: str) -> Any:
        @functools.wraps(noising)
        def noted(*args: Any, **kwargs: Any) -> Any:
            if self._begun is None:
                clean = args[0] if args else kwargs.get("original_samples", kwargs.get("sample"))
                place = 1 if name == "add_noise" else 2
                noise = kwargs["noise"] if "noise" in kwargs else args[place]
                self._begun = (clean, noise)
            return noising(*args, **kwargs)

        return noted

    def _mask(self, clean: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """True for the latents that are redrawn: those with any pixel in them that is."""
        if self._redrawn is None:
            levels = [torch.from_numpy(np.array(mask, np.float32)) for mask in self._masks]
            height, width = clean.shape[-2:]
            pooled = [torch.nn.functional.adaptive_max_pool2d(level[None, None], (height, width)) for level in levels]
            mask = torch.cat(pooled).to(clean.device)
            mask = mask.reshape(len(levels), *(1,) * (clean.ndim - 3), height, width).expand(clean.shape)
            self._redrawn = self._packed(mask, drawn) > 0
        return self._redrawn

    def _packed(self, latents: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Latents as the denoiser's samples are: FLUX and its kin make rows of patches of them."""
        if latents.ndim == like.ndim:
            return latents
        pack = getattr(self._pipeline, "_pack_latents", None)
        if pack is None or like.ndim != 3:
            raise _cant()
        height, width = latents.shape[-2:]
        packed: torch.Tensor = pack(latents, latents.shape[0], latents.shape[1], height, width)
        return packed


def _after(scheduler: Any, timestep: Any) -> Any | None:
    """The timestep that follows on a step; None after the last one."""
    times = scheduler.timesteps
    index = getattr(scheduler, "step_index", None)
    if index is None:
        index = int((times == torch.as_tensor(timestep, device=times.device)).nonzero()[0]) + 1
    return times[index : index + 1] if index < len(times) else None


def _noised(scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, timestep: Any) -> torch.Tensor:
    if hasattr(scheduler, "add_noise"):
        noised: torch.Tensor = scheduler.add_noise(clean, noise, timestep)
    else:
        noised = scheduler.scale_noise(clean, timestep, noise)
    return noised


def _cant() -> InvalidRequest:
    return InvalidRequest("This model can't redraw a part of a picture.", param="mask")
