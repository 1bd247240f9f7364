"""A picture that is to be redrawn, whole or in part, in the sizes that this takes."""

from dataclasses import dataclass
from io import BytesIO
from typing import Self

from PIL import Image

from server.errors import InvalidRequest
from server.media.image_encode import fitted, ground_for, resized
from server.media.image_sizes import Size


@dataclass(frozen=True, slots=True)
class Canvas:
    """start: the picture at the size that the pipeline draws.

    whole, mask: at the size of the file, for a picture of which a part stays; None where all of it is redrawn. The mask
    is grey, 255 where the picture is redrawn and 0 where not a single pixel changes.
    """

    start: Image.Image
    whole: Image.Image | None = None
    mask: Image.Image | None = None

    @classmethod
    def of(cls, start: bytes, mask: bytes | None, *, target: Size, drawn: Size) -> Self:
        """From encoded pictures. Raises InvalidRequest for a start with transparency."""
        picture = _decoded(start)
        # Four channels would be taken for latents.
        if picture.mode != "RGB":
            raise InvalidRequest("This model can't redraw a picture that is not plain RGB.", param="image")
        if mask is None:
            return cls(resized(picture, drawn, "lanczos"))
        ground = ground_for(picture, target)
        whole = fitted(picture, target, "lanczos", ground)
        # Stretched, and stretched back afterwards, so that each part comes back to its place.
        start_picture = whole if whole.size == drawn else whole.resize(drawn, Image.Resampling.LANCZOS)
        # The mask is cut as the picture is; ground that was added to it stays.
        return cls(start_picture, whole, fitted(_decoded(mask), target, "nearest", None if ground is None else 0))

    def finished(self, drawn: Image.Image) -> Image.Image:
        """What was drawn, with what stays put over it at the size of the file."""
        if self.whole is None or self.mask is None:
            return drawn
        if drawn.size != self.whole.size:
            drawn = drawn.resize(self.whole.size, Image.Resampling.LANCZOS)
        return Image.composite(drawn.convert("RGB"), self.whole, self.mask)


def size_of(data: bytes) -> Size:
    """Width and height of an encoded picture, by its header."""
    with Image.open(BytesIO(data)) as image:
        return image.size


def _decoded(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image
