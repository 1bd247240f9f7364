"""Pictures in chat messages: data URIs are checked, URLs refused or fetched, so that engines see data URIs only."""

import base64
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from anyio import to_thread
from PIL import Image, UnidentifiedImageError

from server.api.openai.data_uri import decoded, is_data
from server.api.openai.media_fetch import MediaClient
from server.errors import InvalidRequest
from server.settings import Settings

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
"""Pillow's names of what is accepted; every other decoder stays out of reach of what clients send."""

MAX_FETCHED = 8
"""Pictures by URL in one request: a request must not become a flood to somebody else."""

MAX_IN_ALL = 8
"""Most pixels of a request's pictures together, in times of what one may have: an engine holds them all decoded, and
a few hundred kilobytes can hold the pixels of gigabytes."""

# Above its own limit Pillow only warns: for pictures that come from outside, that is not enough.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


async def resolve_images(
    messages: Sequence[Mapping[str, Any]], settings: Settings, client: MediaClient | None = None
) -> tuple[Mapping[str, Any], ...]:
    """The messages with every `image_url` part as `{"url": "data:…"}`, checked; the rest is passed on as it is.

    client: fetches what is not a data URI; by default one that asks only the hosts of `settings`, of which there
    are none by default, and then nothing is looked up. Raises InvalidRequest whose param names the part, such as
    `messages[0].content[1].image_url.url`.
    """
    images = _Images(settings, client or MediaClient(settings.image_input_hosts, limit=settings.max_image_input))
    resolved: list[Mapping[str, Any]] = []
    for number, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list | tuple):
            parts = [
                await images.resolve(part, f"messages[{number}].content[{place}].image_url")
                if isinstance(part, Mapping) and part.get("type") == "image_url"
                else part
                for place, part in enumerate(content)
            ]
            message = {**message, "content": parts}  # noqa: PLW2901 - the caller's message stays as it is
        resolved.append(message)
    return tuple(resolved)


class _Images:
    """The pictures of one request."""

    def __init__(self, settings: Settings, client: MediaClient) -> None:
        self._settings = settings
        self._client = client
        self._number = 0
        self._fetched = 0
        self._pixels = 0

    async def resolve(self, part: Mapping[str, Any], param: str) -> Mapping[str, Any]:
        """The part with a checked data URI."""
        image_url, param = _asked(part, param)
        self._number += 1
        if self._number > (most := self._settings.max_image_inputs):
            raise InvalidRequest(f"The messages have more than {most} images, which is the limit.", param=param)
        url = image_url["url"]
        if is_data(url):
            data = await to_thread.run_sync(decoded, url, "image", self._settings.max_image_input, param)
        else:
            self._fetched += 1
            if self._fetched > MAX_FETCHED:
                raise InvalidRequest(f"At most {MAX_FETCHED} images may be given by URL.", param=param)
            data = await self._client.fetch(url, param)
        kind, pixels = await to_thread.run_sync(checked, data, self._settings.max_image_pixels, param)
        self._pixels += pixels
        if self._pixels > (most := MAX_IN_ALL * self._settings.max_image_pixels):
            raise InvalidRequest(f"The images have more than {most} pixels together, which is the limit.", param=param)
        return {**part, "image_url": {**image_url, "url": f"data:{kind};base64,{base64.b64encode(data).decode()}"}}


def _asked(part: Mapping[str, Any], param: str) -> tuple[Mapping[str, Any], str]:
    """The part's image_url as an object, and the name of its URL. Some clients send the bare string."""
    asked = part.get("image_url")
    if isinstance(asked, str):
        return {"url": asked}, param
    if isinstance(asked, Mapping) and isinstance(asked.get("url"), str):
        return asked, f"{param}.url"
    raise InvalidRequest(
        f"Invalid type for '{param}': expected an object with a url.", param=param, code="invalid_type"
    )


def checked(data: bytes, most_pixels: int, param: str) -> tuple[str, int]:
    """The media type and the number of pixels, by the file's own header.

    No pixel is decoded, so a decompression bomb does no harm here.
    """
    try:
        with Image.open(BytesIO(data), formats=list(FORMATS)) as image:
            # A camera's JPEG that holds a second picture, of a smaller size or for the other eye, is an MPO to Pillow.
            kind = FORMATS["JPEG" if image.format == "MPO" else image.format or ""]
            pixels = image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many(most_pixels, param) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        # Pillow's readers raise any of these on a broken header.
        raise InvalidRequest("The image is broken, or not a PNG, JPEG, WebP or GIF.", param=param) from None
    if pixels > most_pixels:
        raise _too_many(most_pixels, param)
    return kind, pixels


def _too_many(most: int, param: str) -> InvalidRequest:
    return InvalidRequest(f"The image has more than {most} pixels, which is the limit.", param=param)
