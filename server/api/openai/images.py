"""POST /v1/images/generations, and the pictures behind the URLs that it gives out."""

import base64
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import orjson
from fastapi import APIRouter
from PIL import Image
from pydantic import Field, field_validator
from starlette.requests import Request
from starlette.responses import Response

from server.api.body import read_json
from server.api.deps import PipelineDep, ServicesDep
from server.api.lifetime import while_connected
from server.api.openai.extras import extras_of
from server.api.openai.image_store import ImageStore
from server.api.openai.quality import QualityField, ask_of
from server.api.plain_route import PlainRoute
from server.api.sse import SseResponse, named_frame
from server.api.validation import Body
from server.core import ImageFormat, ImageJob, Picture
from server.errors import MethodNotAllowed, NotFound
from server.media.image_sizes import parse
from server.pipeline.run import Run
from server.settings import Settings

router = APIRouter(route_class=PlainRoute)
"""For callers with a key."""
public = APIRouter()
"""For everybody: the pictures' URLs."""


class ImageRequest(Body):
    """The OpenAI API's fields, and those of diffusion models: seed, steps, guidance, negative_prompt.

    `style`, `background`, `moderation` and `user` are accepted and change nothing; what the picture's background
    is, the answer says.
    """

    model: str = Field(min_length=1)
    prompt: str = Field(min_length=1, max_length=32_000)
    n: int = Field(1, ge=1, le=10)
    size: str = "auto"
    quality: QualityField = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: ImageFormat = "png"
    output_compression: int = Field(100, ge=0, le=100)
    stream: bool = False
    partial_images: int = Field(0, ge=0, le=3)
    seed: int | None = Field(None, ge=0, lt=2**63)
    steps: int | None = Field(None, ge=1, le=200)
    guidance: float | None = Field(None, ge=0, le=30, allow_inf_nan=False)
    negative_prompt: str | None = Field(None, max_length=32_000)

    @field_validator("size")
    @classmethod
    def _size_is_a_size(cls, size: str) -> str:
        if size != "auto" and parse(size) is None:
            raise ValueError("expected auto, or a width and a height such as 1024x1024")
        return size

    def job(self) -> ImageJob:
        width, height = parse(self.size) or (None, None)
        return ImageJob(
            prompt=self.prompt,
            n=self.n,
            width=width,
            height=height,
            seed=self.seed,
            steps=self.steps,
            guidance=self.guidance,
            negative_prompt=self.negative_prompt or None,
            format=self.output_format,
            compression=self.output_compression,
            partial_images=self.partial_images if self.stream else 0,
        )


@router.post("/images/generations")
async def generate(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """Pictures for a prompt, as URLs or base64; as events, each when it is there, with `stream`."""
    asked = await read_json(request, ImageRequest, limit=services.settings.max_body)
    ask = ask_of(request, pipeline.caller, asked.model, quality=asked.quality)
    opening = pipeline.run(ask, asked.job())
    if asked.stream:
        return SseResponse(opening, lambda run: _events(run, asked))
    form = asked.response_format or services.settings.image_response_format
    shelf = Shelf(services.images, _base_url(request, services.settings))
    async with opening as run:
        return await while_connected(request, _answer(run, asked, form, shelf))


@router.post("/images/{what}")
async def unsupported(what: str) -> Response:
    """Edits and variations are another model's work than text to image; without this route they were a 405."""
    raise NotFound(f"Invalid URL (POST /v1/images/{what[:40]})", code="unknown_url")


@public.api_route("/images/{file}", methods=["GET", "HEAD"])
async def picture(file: str, request: Request, services: ServicesDep) -> Response:
    """A generated picture. No key is needed: an <img> can't send one, and the name can't be guessed."""
    if file == "generations":
        raise MethodNotAllowed(f"Not allowed to {request.method} on /v1/images/generations.", headers={"Allow": "POST"})
    stored = await services.images.get(file)
    if stored is None:
        raise NotFound("There is no such image, or its time is over.")
    headers = {
        "cache-control": f"private, max-age={int(stored.expires_in)}",
        "content-length": str(len(stored.data)),
        "x-content-type-options": "nosniff",
    }
    body = b"" if request.method == "HEAD" else stored.data
    return Response(body, headers=headers, media_type=stored.media_type)


# ---------------------------------------------------------------- rendering


@dataclass(frozen=True, slots=True)
class Shelf:
    """The image store, and the URL under which this client reaches the server."""

    store: ImageStore
    base: str

    async def put(self, data: bytes, kind: ImageFormat) -> str:
        """Keep a picture and return its URL. Raises StorageFull."""
        return f"{self.base}/v1/images/{await self.store.put(data, kind)}"


async def _answer(run: Run, asked: ImageRequest, form: str, shelf: Shelf) -> Response:
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
    answer = {"created": int(time.time()), "data": data, **looks, "usage": usage}
    return Response(orjson.dumps(answer), headers=run.headers, media_type="application/json")


async def _events(run: Run, asked: ImageRequest) -> AsyncGenerator[bytes, None]:
    """Previews and pictures as named events. Besides the contract's fields: which picture (`index`), its seed."""
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
            name = "image_generation.partial_image"
            yield named_frame(name, {"type": name, "partial_image_index": event.partial, **fields})
        else:
            name = "image_generation.completed"
            usage = {**_usage(run, images=1), "quality": run.quality}
            yield named_frame(name, {"type": name, **fields, "usage": usage})


def _looks(picture: Picture, asked: ImageRequest, run: Run) -> dict[str, Any]:
    # Pillow reads no more than the header for this.
    with Image.open(BytesIO(picture.data)) as image:
        background = "transparent" if image.has_transparency_data else "opaque"
    return {
        "size": f"{picture.width}x{picture.height}",
        "output_format": asked.output_format,
        "quality": str(run.plan.quality),
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


def _base_url(request: Request, settings: Settings) -> str:
    """Where the client finds this server: as configured, or as it has just found it."""
    return str(settings.public_url or request.base_url).rstrip("/")
