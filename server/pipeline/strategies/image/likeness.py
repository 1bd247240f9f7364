"""How alike pictures look, by their averages over areas: no model in it."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDES = (32, 8)
"""Areas to a side: the finer ones see shapes, the coarser forgive that a thing is shifted or tilted a little."""


def decoded(data: bytes) -> Image.Image:
    """An encoded picture, decoded."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


def looks(data: bytes) -> NDArray[np.float64]:
    """What of an encoded picture is compared: a vector. The square of two vectors' distance is the mean over SIDES of
    the mean squared difference of their averages, RGB of 0–1, transparency on white."""
    image = decoded(data)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    parts = []
    for side in SIDES:
        averages = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float64) / 255
        parts.append(averages.ravel() / np.sqrt(averages.size * len(SIDES)))
    return np.concatenate(parts)


def medoid(pictures: Sequence[bytes]) -> int:
    """The place of the picture whose distances to the others sum up to the least; of equals, the first.

    Distances, not their squares: the sum of squares is least for what is nearest to the mean of all, which a single
    picture that is far off draws towards itself.
    """
    vectors = np.stack([looks(data) for data in pictures])
    distances = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=-1))
    return int(distances.sum(axis=1).argmin())
