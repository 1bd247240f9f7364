"""POST /v1/images/generations, /edits and /variations, and the pictures behind the URLs that they give out."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers.images import CompletedImage, Images, PartialImage
from server.api.body import read_form, read_json
from server.api.deps import PipelineDep, ServicesDep
from server.api.inner_request import inner_of
from server.api.lifetime import while_connected
from server.api.openai.image_request import EditForm, ImageBody, ImageRequest, VariationForm
from server.api.openai.image_response import Kind, Shelf, answer, events
from server.api.openai.image_upload import read_mask, read_original
from server.api.openai.models import visible
from server.api.openai.own_address import base_url
from server.api.openai.quality import ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.api.sse import SseResponse
from server.core import Caller, ImageJob, Task
from server.errors import InvalidRequest, MethodNotAllowed, ModelNotFound, NotFound

router = APIRouter(route_class=PlainRoute)
"""For callers with a key."""
public = APIRouter()
"""For everybody: the pictures' URLs."""

_POSTS = ("generations", "edits", "variations")


@router.post("/images/generations")
@documented(
    body=ImageRequest,
    inference=True,
    answer=Images,
    events=(PartialImage, CompletedImage),
    examples={
        "a picture as URL": {"model": "dall-e-3", "prompt": "a red heart", "response_format": "url"},
        "previews on the way": {"model": "gpt-image-1", "prompt": "a red heart", "stream": True, "partial_images": 2},
    },
)
async def generate(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """Pictures for a prompt, as URLs or base64; as events, each when it is there, with `stream`."""
    asked = await read_json(request, ImageRequest, limit=services.settings.max_body, task=Task.IMAGE)
    return await _drawn(request, pipeline, services, asked, asked.job(), "image_generation")


@router.post("/images/edits")
@documented(
    form=EditForm,
    files={"image": True, "mask": False},
    inference=True,
    answer=Images,
    events=(PartialImage, CompletedImage),
)
async def edit(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """An uploaded picture drawn anew by a prompt: all of it, or where a mask is transparent, and then the rest stays as
    it is, pixel for pixel in a lossless format. Without a size it keeps its own as far as the model can give it."""
    form = await read_form(request, file_limit=services.settings.max_upload, task=Task.IMAGE)
    asked = form.parse(EditForm)
    if "markup" in form.files or "markup" in form.fields:
        raise InvalidRequest("No model here reads a markup. Send a mask, or say it in the prompt.", param="markup")
    original = await while_connected(request, read_original(form, services.settings))
    mask = await while_connected(request, read_mask(form, original, services.settings))
    return await _drawn(request, pipeline, services, asked, asked.job(original, mask), "image_edit")


@router.post("/images/variations")
@documented(
    form=VariationForm, files={"image": True}, inference=True, answer=Images, events=(PartialImage, CompletedImage)
)
async def vary(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """Pictures like an uploaded one."""
    form = await read_form(request, file_limit=services.settings.max_upload, task=Task.IMAGE)
    asked = form.parse(VariationForm)
    original = await while_connected(request, read_original(form, services.settings))
    return await _drawn(request, pipeline, services, asked, asked.job(original), "image_edit")


@router.post("/images/{what}", include_in_schema=False)
async def unsupported(what: str) -> Response:
    """Whatever else there may be; without this route it would be a 405."""
    raise NotFound(f"Invalid URL (POST /v1/images/{what[:40]})", code="unknown_url")


@public.get("/images/{file}")
@documented(media=("image/png", "image/jpeg", "image/webp"))
async def picture(file: str, request: Request, services: ServicesDep) -> Response:
    """A generated picture. No key is needed: an <img> can't send one, and the name can't be guessed."""
    if file in _POSTS:
        raise MethodNotAllowed(f"Not allowed to {request.method} on /v1/images/{file}.", headers={"Allow": "POST"})
    stored = await services.images.get(file)
    if stored is None:
        raise NotFound("There is no such image, or its time is over.")
    headers = {
        "cache-control": f"private, max-age={int(stored.expires_in)}",
        "x-content-type-options": "nosniff",
    }
    return Response(stored.data, headers=headers, media_type=stored.media_type)


async def _drawn(
    request: Request, pipeline: RequestPipeline, services: Services, asked: ImageBody, job: ImageJob, kind: Kind
) -> Response:
    model = asked.model or _first_that_draws(services, pipeline.caller)
    opening = pipeline.run(ask_of(request, pipeline.caller, model, quality=asked.quality), job)
    if asked.stream:
        return SseResponse(opening, lambda run: events(run, asked, kind))
    shelf = Shelf(services.images, base_url(request, services.settings))
    async with opening as run:
        form = _fixed_form(services, run.plan.model) or asked.response_format
        if inner_of(request.scope) is not None:
            form = form or "b64_json"  # who reads it later would find a URL whose time is over
        form = form or services.settings.image_response_format
        return await while_connected(request, answer(run, asked, form, shelf))


def _first_that_draws(services: Services, caller: Caller) -> str:
    """The first name in the configs' order that draws, and that the caller may use. Raises ModelNotFound."""
    for one in services.catalog.public_models():
        if Task.IMAGE in one.tasks and visible(one, caller):
            return one.id
    raise ModelNotFound("There is no model here that draws images.", param="model")


def _fixed_form(services: Services, name: str) -> str | None:
    """The form that a name's answers always have, whatever was asked for; None for names that leave it open."""
    return next((one.image_response_format for one in services.catalog.public_models() if one.id == name), None)
