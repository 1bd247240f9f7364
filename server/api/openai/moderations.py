"""POST /v1/moderations: whether texts are harassing, hateful, violent and so on, by a classifier of the operator's.

Its labels are mapped onto the OpenAI API's categories by its config (server/models/config/embed_spec.py).
"""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, Field

from server.api.answers.moderations import ModerationList
from server.api.body import read_json
from server.api.deps import PipelineDep, ServicesDep
from server.api.lifetime import while_connected
from server.api.openai.extras import extras_of
from server.api.openai.models import visible
from server.api.openai.quality import QualityField, ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import Services
from server.api.validation import Body
from server.core import CATEGORIES, Caller, Moderation, ModerationJob, Moderations, Task
from server.errors import ModelNotFound
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

MOST_INPUTS = 2048

NOBODY = (
    "There is no model here that moderates. Whoever runs this server can add one: a text classifier with `moderation` "
    "in its model config, as the example moderation.yaml has it. A chat model can be asked by /v1/chat/completions "
    "instead, with a `response_format` for its verdict."
)


def _text_only(kind: Any) -> Any:
    if kind == "image_url":
        raise ValueError("pictures are not moderated here, only text is")
    return kind


def _some(given: Any) -> Any:
    if isinstance(given, list) and not 1 <= len(given) <= MOST_INPUTS:
        raise ValueError(f"expected 1 to {MOST_INPUTS} texts or parts, but got {len(given)}")
    return given


Text = Annotated[str, Field(min_length=1)]


class TextPart(Body):
    """As a chat's message has them."""

    type: Annotated[Literal["text"], BeforeValidator(_text_only)]
    text: Text


class ModerationRequest(Body):
    """input: a text, or several, or one in parts. model: the first that moderates if there is none."""

    input: Annotated[Text | list[Text] | list[TextPart], BeforeValidator(_some)]
    model: str | None = Field(None, min_length=1)
    quality: QualityField = None

    def job(self) -> ModerationJob:
        if isinstance(self.input, str):
            return ModerationJob(inputs=(self.input,))
        texts = [one for one in self.input if isinstance(one, str)]
        parts = [one.text for one in self.input if isinstance(one, TextPart)]
        return ModerationJob(inputs=("\n".join(parts),) if parts else tuple(texts))


@router.post("/moderations")
@documented(
    body=ModerationRequest,
    inference=True,
    answer=ModerationList,
    examples={
        "two texts": {"model": "omni-moderation-latest", "input": ["A cat sleeps.", "I will fight you."]},
        "one text in parts": {
            "model": "omni-moderation-latest",
            "input": [{"type": "text", "text": "A cat sleeps."}, {"type": "text", "text": "Bread is baked."}],
        },
    },
)
async def moderate(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """A verdict for each text: 404 where no model moderates."""
    body = await read_json(request, ModerationRequest, limit=services.settings.max_body, task=Task.MODERATION)
    able = _able(services, pipeline.caller)
    if not able:
        raise ModelNotFound(NOBODY)
    model = body.model or able[0]
    ask = ask_of(request, pipeline.caller, model, quality=body.quality)
    async with pipeline.run(ask, body.job()) as run:
        return await while_connected(request, _answer(run, model, ask.id))


async def _answer(run: Run, model: str, number: str) -> Response:
    results: tuple[Moderation, ...] = ()
    async for event in run.events():
        if isinstance(event, Moderations):
            results = event.results
    tokens = run.usage.prompt_tokens
    answer = {
        "id": f"modr-{number}",
        "model": model,
        "results": [_verdict(result) for result in results],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, **extras_of(run)},
    }
    return Response(orjson.dumps(answer), headers=run.headers, media_type="application/json")


def _verdict(found: Moderation) -> dict[str, Any]:
    """All of the categories: clients read each without asking whether it is there."""
    return {
        "flagged": bool(found.flagged),
        "categories": {category: category in found.flagged for category in CATEGORIES},
        "category_scores": {category: found.scores.get(category, 0.0) for category in CATEGORIES},
        "category_applied_input_types": {
            category: ["text"] if category in found.scores else [] for category in CATEGORIES
        },
    }


def _able(services: Services, caller: Caller) -> list[str]:
    """The public names that moderate and that the caller may use, in the configs' order."""
    return [
        public.id
        for public in services.catalog.public_models()
        if Task.MODERATION in public.tasks and visible(public, caller)
    ]
