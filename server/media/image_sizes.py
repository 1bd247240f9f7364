"""Which sizes an image model gives, and at which size the pipeline draws for each: no torch in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import InvalidRequest, ModelUnavailable

Size = tuple[int, int]
"""Width and height in pixels."""

_LARGEST = 4  # the most pixels of a model that declares no sizes, in times of its own size's

_LONGEST_SHAPE = 4
"""Where the size is left to the model, the longer side of what is redrawn is at most so many times the shorter."""


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """The sizes of one model.

    own: the size that it was trained for, which is the default.
    declared: the further sizes that its config names. Without any, it gives every size that `factor` divides, up to
      four times the pixels of its own: 1024x1024 at most for a model of 512x512.
    resampled: the declared sizes are made from a picture of the own size.
    flexible: the pipeline takes a size at all.
    longest: pixels that no side may exceed, for pipelines that have learned positions so far and no further.

    Raises ModelUnavailable for a config that names sizes which can't be drawn: the model then fails to load, rather
    than every request that asks for such a size.
    """

    own: Size
    declared: tuple[Size, ...]
    resampled: bool
    factor: int
    flexible: bool
    longest: int | None = None

    def __post_init__(self) -> None:
        for size in (self.own,) if self.resampled else (self.own, *self.declared):
            if not self._draws(size):
                bound = f", up to {self.longest} a side" if self.longest is not None else ""
                raise ModelUnavailable(
                    f"The config names the size {name(size)}, which this pipeline can't draw: "
                    f"it draws multiples of {self.factor}{bound}."
                    if self.flexible
                    else f"The config names the size {name(size)}, and this pipeline can't draw at a chosen size."
                )

    def choose(self, width: int | None, height: int | None) -> tuple[Size, Size]:
        """The size of the file and the size to draw it at. Raises InvalidRequest, which lists the sizes."""
        asked = (width or self.own[0], height or self.own[1])
        if asked != self.own and not self._gives(asked):
            raise InvalidRequest(f"This model can't give {name(asked)}. Sizes it can give: {self}.", param="size")
        return asked, self.own if self.resampled else asked

    def near(self, start: Size) -> tuple[Size, Size]:
        """As `choose`, for a picture of size `start` that is redrawn without a size being asked for."""
        size = near(start, self.own, self.declared)
        if not self.declared:
            size = self.own if self.resampled else self._drawable(size)
        return size, self.own if self.resampled else size

    def enlarged(self, drawn: Size, times: float) -> Size:
        """`drawn` with its sides `times` as long, as far as the factor and the most pixels allow; never smaller."""
        if not self.flexible:
            return drawn
        pixels = drawn[0] * drawn[1]
        times = min(times, math.sqrt(max(self._most_pixels, pixels) / pixels), (self.longest or math.inf) / max(drawn))
        width, height = (max(length, int(length * times) // self.factor * self.factor) for length in drawn)
        return width, height

    def __str__(self) -> str:
        listed = ", ".join(dict.fromkeys(map(name, (self.own, *self.declared))))
        if self.declared or self.resampled or not self.flexible:
            return listed
        bound = f" and {self.longest} a side" if self.longest is not None else ""
        return f"{listed}, or any multiples of {self.factor} up to {self._most_pixels} pixels in all{bound}"

    @property
    def _most_pixels(self) -> int:
        return _LARGEST * self.own[0] * self.own[1]

    def _drawable(self, size: Size) -> Size:
        """What the pipeline can draw that is nearest to `size`."""
        if not self.flexible:
            return self.own
        scale = min(1.0, (self.longest or math.inf) / max(size))
        width, height = (max(self.factor, round(length * scale / self.factor) * self.factor) for length in size)
        return width, height

    def _gives(self, size: Size) -> bool:
        if self.declared or self.resampled:
            return size in self.declared
        return self._draws(size) and size[0] * size[1] <= self._most_pixels

    def _draws(self, size: Size) -> bool:
        """Whether the pipeline itself can make that size."""
        possible = min(size) > 0 and all(length % self.factor == 0 for length in size)
        possible = possible and (self.longest is None or max(size) <= self.longest)
        return possible and (self.flexible or size == self.own)


def near(start: Size, own: Size, declared: Sequence[Size]) -> Size:
    """The size at which a picture of size `start` is redrawn by a model of those sizes: of the declared ones the
    nearest in shape and area, and without any the start's shape with as many pixels as the model's own size has.

    Declared 512x512, 1024x1024 and 1536x1024: a photograph of 3000x2000 is redrawn at 1536x1024, and one of 640x480 at
    512x512.
    """
    if declared:
        return min((own, *declared), key=lambda size: _distance(start, size))
    shape = min(max(start[0] / start[1], 1 / _LONGEST_SHAPE), _LONGEST_SHAPE)
    height = math.sqrt(own[0] * own[1] / shape)
    return max(1, round(height * shape)), max(1, round(height))


def _distance(one: Size, other: Size) -> float:
    """The sum of how many times, as logarithms, the shapes and the areas differ."""
    shapes = math.log(one[0] / one[1]) - math.log(other[0] / other[1])
    return abs(shapes) + abs(math.log(one[0] * one[1]) - math.log(other[0] * other[1]))


def name(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def parse(text: str) -> Size | None:
    """The size that a text such as `512x768` names; None if it names none."""
    width, cross, height = text.partition("x")
    # isdecimal alone would take digits of any script; five digits are more than any picture has.
    if not (cross and all(part.isascii() and part.isdecimal() and len(part) <= 5 for part in (width, height))):
        return None
    size = (int(width), int(height))
    return size if min(size) > 0 else None
