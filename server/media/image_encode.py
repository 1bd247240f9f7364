"""From float arrays to image files: the worker's side of every picture that leaves the server."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from server.core import ImageFormat

RESAMPLERS = {
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_SAME_GROUND = 24
"""Levels of 255 by which pixels of one ground differ at most, in each channel."""
_NOT_GROUND = 0.1
"""Share of the pixels at the edge that may be of another colour: a thing may touch it."""


def is_picture(pixels: NDArray[np.floating[Any]]) -> bool:
    """False for what broken arithmetic leaves behind: values that are not finite numbers."""
    return bool(np.isfinite(pixels).all())


def from_pixels(pixels: NDArray[np.floating[Any]]) -> Image.Image:
    """An image from finite values in 0–1 of shape (height, width, channels): 1 grey, 3 RGB, 4 RGB and alpha."""
    values = (pixels.clip(0.0, 1.0) * 255).round().astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


Colour = tuple[int, ...] | int


def resized(image: Image.Image, size: tuple[int, int], resample: str) -> Image.Image:
    """The image at `size` (width, height). Of another shape, a thing on plain ground gets more ground on two sides, and
    any other image is cut out of its middle; nothing is stretched."""
    return fitted(image, size, resample, ground_for(image, size))


def fitted(image: Image.Image, size: tuple[int, int], resample: str, ground: Colour | None) -> Image.Image:
    """The image at `size`, of another shape with that ground beside it, or, for None, cut out of its middle."""
    if image.size == size:
        return image
    if ground is None:
        return ImageOps.fit(image, size, RESAMPLERS[resample])
    return ImageOps.pad(image, size, RESAMPLERS[resample], color=ground)


def ground_for(image: Image.Image, size: tuple[int, int]) -> Colour | None:
    """The one colour at the two sides where the shape of `size` needs more than there is; None where there are several,
    or nothing more is needed."""
    pixels = np.asarray(image)
    across, down = size[0] * image.height, size[1] * image.width
    if across == down or pixels.dtype != np.uint8:
        return None
    lines = pixels[:, [0, -1]] if across > down else pixels[[0, -1]]
    lines = lines.reshape(lines.shape[0] * lines.shape[1], -1)
    colour = np.median(lines, axis=0)
    if (np.abs(lines - colour) > _SAME_GROUND).any(axis=1).mean() > _NOT_GROUND:
        return None
    return tuple(int(value) for value in colour) if pixels.ndim == 3 else int(colour[0])


def encoded(image: Image.Image, kind: ImageFormat, quality: int) -> bytes:
    """The bytes of a file. quality: 0–100 for jpeg and webp; png is lossless. Only jpeg puts transparency on white."""
    buffer = BytesIO()
    match kind:
        case "png":
            image.save(buffer, "PNG")
        case "webp":
            image.save(buffer, "WEBP", quality=quality)
        case "jpeg":
            # Pillow halves the colour resolution by default, which shows at qualities that are meant to be good.
            subsampling = "4:4:4" if quality >= 90 else "4:2:0"
            on_white(image).save(buffer, "JPEG", quality=max(quality, 1), subsampling=subsampling)
    return buffer.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """The image without transparency: what shines through is white."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
