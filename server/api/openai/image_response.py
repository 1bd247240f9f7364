"""Pictures as the OpenAI API answers them: all in one object, or as events, each when it is there."""

import base64
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import orjson
from PIL import Image
from starlette.responses import Response

from server.api.openai.extras import extras_of
from server.api.openai.image_request import ImageBody
from server.api.openai.image_store import ImageStore
from server.api.sse import named_frame
from server.core import ImageFormat, Picture, Quality
from server.pipeline.run import Run

Kind = Literal["image_generation", "image_edit"]
"""What the names of events begin with."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The image store, and the URL under which this client reaches the server."""

    store: ImageStore
    base: str

    async def put(self, data: bytes, kind: ImageFormat) -> str:
        """Keep a picture and return its URL. Raises StorageFull."""
        return f"{self.base}/v1/images/{await self.store.put(data, kind)}"


async def answer(run: Run, asked: ImageBody, form: str, shelf: Shelf) -> Response:
    """The whole answer. form: url, b64_json or both. Raises StorageFull."""
    data: list[dict[str, Any]] = []
    looks: dict[str, Any] = {}
    async for event in run.events():
        if isinstance(event, Picture):
            item: dict[str, Any] = {}
            if form != "b64_json":
                item["url"] = await shelf.put(event.data, asked.output_format)
            if form != "url":
                item["b64_json"] = base64.b64encode(event.data).decode()
            data.append(item | {"seed": event.seed})
            looks = _looks(event, asked, run)
    usage = {**_usage(run, images=len(data)), **extras_of(run)}
    said = {"created": int(time.time()), "data": data, **looks, "usage": usage}
    return Response(orjson.dumps(said), headers=run.headers, media_type="application/json")


async def events(run: Run, asked: ImageBody, kind: Kind) -> AsyncGenerator[bytes, None]:
    """Previews and pictures as named events. Besides the contract's fields: which picture (`index`), its seed, and with
    the last picture, which waits for the books, what all of them cost."""
    left, last = asked.n, None
    async for event in run.events():
        if not isinstance(event, Picture):
            continue
        fields = {
            "b64_json": base64.b64encode(event.data).decode(),
            "created_at": int(time.time()),
            **_looks(event, asked, run),
            "index": event.index,
            "seed": event.seed,
        }
        if event.partial is not None:
            name = f"{kind}.partial_image"
            yield named_frame(name, {"type": name, "partial_image_index": event.partial, **fields})
        else:
            name = f"{kind}.completed"
            completed = {"type": name, **fields, "usage": {**_usage(run, images=1), "quality": run.quality}}
            left -= 1
            if left:
                yield named_frame(name, completed)
            else:
                last = completed
    if last is not None:
        yield named_frame(last["type"], last | {"usage": {**last["usage"], **extras_of(run)}})


def _looks(picture: Picture, asked: ImageBody, run: Run) -> dict[str, Any]:
    # Pillow reads no more than the header for this.
    with Image.open(BytesIO(picture.data)) as image:
        background = "transparent" if image.has_transparency_data else "opaque"
    quality = run.plan.quality
    return {
        "size": f"{picture.width}x{picture.height}",
        "output_format": asked.output_format,
        # The SDK's types know no ultra; `usage.quality` has our own word.
        "quality": "max" if quality is Quality.ULTRA else str(quality),
        "background": background,
    }


def _usage(run: Run, images: int) -> dict[str, Any]:
    """Pictures are not made of tokens here: the output counts none, and `images` says how many there are."""
    tokens = run.facts.prompt_tokens
    return {
        "input_tokens": tokens,
        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
        "output_tokens": 0,
        "total_tokens": tokens,
        "images": images,
    }
