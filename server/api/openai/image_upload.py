"""Uploaded pictures, which are not trusted: from a file of any kind to plain RGB, and from a mask to its holes.

What a file is, its own bytes say: names and content types are never looked at.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from anyio import CapacityLimiter, to_thread
from PIL import Image, ImageOps

from server.api.body import Form, Upload
from server.api.openai.image_input import FORMATS, checked
from server.errors import InvalidRequest
from server.media.image_encode import on_white
from server.media.image_sizes import Size, name
from server.settings import Settings

MOST = 16
"""Pictures in one request, as the OpenAI API has it."""

_UNPACKING = CapacityLimiter(2)
"""How many are unpacked at once: 25 million pixels, the default limit, are 100 MB with transparency, in some copies."""


@dataclass(frozen=True, slots=True)
class Original:
    """A picture to be redrawn: an RGB PNG, turned upright, and its width and height."""

    data: bytes
    size: Size


async def read_original(form: Form, settings: Settings) -> Original:
    """The form's one `image`. Transparency is shown on white: which part is redrawn, a mask says.

    Raises InvalidRequest, whose param is `image`: for a file that is missing, broken, animated, too large in bytes or
    pixels, and for more than one, of which every model here could see one only.
    """
    form.file("image")
    uploads = form.files["image"]
    if len(uploads) > MOST:
        raise InvalidRequest(f"At most {MOST} images may be sent.", param="image")
    for upload in uploads:
        await to_thread.run_sync(_demand, upload, settings, "image")
    if len(uploads) > 1:
        raise InvalidRequest(
            f"The models here edit one image at a time, and {len(uploads)} were sent. Send the one to be edited.",
            param="image",
        )
    return await to_thread.run_sync(_original, uploads[0].data, limiter=_UNPACKING)


async def read_mask(form: Form, original: Original, settings: Settings) -> bytes | None:
    """The form's `mask` as a grey PNG, 255 where the mask is transparent; None where there is none.

    Raises InvalidRequest, whose param is `mask`: as for the image, and for a mask without transparency or of another
    size than the image.
    """
    if "mask" in form.fields:
        form.file("mask")  # it is text, and says so
    uploads = [upload for upload in form.files.get("mask", []) if upload.data or upload.filename]
    if not uploads:
        return None  # browsers send a file without name and bytes where none was chosen
    if len(uploads) > 1:
        raise InvalidRequest("There can be one mask only.", param="mask")
    await to_thread.run_sync(_demand, uploads[0], settings, "mask")
    return await to_thread.run_sync(_holes, uploads[0].data, original.size, limiter=_UNPACKING)


# ---------------------------------------------------------------- in a thread


def _demand(upload: Upload, settings: Settings, param: str) -> None:
    """Bytes, kind and pixels by the header: nothing is unpacked before they are known."""
    if not upload.data:
        raise InvalidRequest("The file is empty.", param=param)
    if len(upload.data) > settings.max_image_input:
        limit = settings.max_image_input
        raise InvalidRequest(f"The image has more than {limit} bytes, which is the limit.", param=param)
    checked(upload.data, settings.max_image_pixels, param)


def _original(data: bytes) -> Original:
    with _opened(data, "image") as image:
        # A camera's JPEG can hold a second picture beside the first (MPO), which is no animation.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise InvalidRequest("The image is an animation. Send one picture.", param="image")
        upright = ImageOps.exif_transpose(image)
        return Original(_png(_rgb(upright)), upright.size)


def _holes(data: bytes, size: Size) -> bytes:
    with _opened(data, "mask") as image:
        if not image.has_transparency_data:
            raise InvalidRequest(
                "The mask has no transparency. It must be a PNG that is transparent where the image is to be redrawn.",
                param="mask",
            )
        upright = ImageOps.exif_transpose(image)
        if upright.size != size:
            raise InvalidRequest(
                f"The mask is of {name(upright.size)}, and the image of {name(size)}: they must be of one size.",
                param="mask",
            )
        holes = ImageOps.invert(upright.convert("RGBA").getchannel("A"))
    if holes.getextrema() == (0, 0):
        raise InvalidRequest("The mask is transparent nowhere, so there is nothing to redraw.", param="mask")
    return _png(holes)


@contextmanager
def _opened(data: bytes, param: str) -> Iterator[Image.Image]:
    """The picture, unpacked within the block. Pillow's decoders raise any of these on broken data."""
    try:
        with Image.open(BytesIO(data), formats=list(FORMATS)) as image:
            image.load()
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error):
        raise InvalidRequest("The image is broken.", param=param) from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey, of which Pillow's own conversion cuts off all above 255.
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    return on_white(image).convert("RGB")


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # it goes to the next process, not over a network
    return buffer.getvalue()
