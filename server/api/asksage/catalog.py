"""/server/get-models and /server/tokenizer: which models there are, and how they count."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.access import caller_of, keyed
from server.api.answers.asksage import NativeModels, Status
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered, said
from server.api.asksage.model_names import able, context_of
from server.api.deps import PipelineDep, ServicesDep
from server.api.dialect import dialect_of
from server.api.lifetime import while_connected
from server.api.openai.models import visible
from server.api.openai.quality import ask_of
from server.api.openai.tokenize import first_event
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body
from server.core import CompletionJob, Task, Tokenized, TokenizeJob
from server.errors import InternalError, ModelNotFound

public = APIRouter(route_class=PlainRoute)
"""Needs no key: clients list models before they have one."""
router = APIRouter(route_class=PlainRoute)


class ModelsBody(Body):
    """format: `full` for more of each model."""

    format: str | None = None


@public.api_route("/get-models", methods=["GET", "POST"])
@documented(answer=NativeModels, body=ModelsBody, examples={"more of each": {"format": "full"}})
async def get_models(request: Request, services: ServicesDep) -> Response:
    """The public names, those that chat first; with a key, those that it may use."""
    body = (await bodies.read(request, ModelsBody, limit=services.settings.max_body)).body
    caller = caller_of(request)
    if caller is None and dialect_of(request.scope).credentials(request) is not None:
        caller = await keyed(request)
    listed = sorted(services.catalog.public_models(), key=lambda one: Task.CHAT not in one.tasks)
    data: list[dict[str, Any]] = []
    for one in listed:
        if caller is not None and not visible(one, caller):
            continue
        row: dict[str, Any] = {
            "id": one.id,
            "name": one.id,
            "object": "model",
            "created": "na",
            "owned_by": one.owned_by,
        }
        if body.format == "full":
            row |= {
                "vendor": one.owned_by,
                "description": one.description,
                "capabilities": [task.value for task in one.tasks],
                "context": context_of(services, one.id),
                "token_conversion_rate": 1.0,
            }
        data.append(row)
    return answered({"object": "list", "data": data, "response": [row["id"] for row in data], "status": 200})


class TokenizerBody(Body):
    """model: whose tokens; any that is not served stands for the default one. completion_estimate: tokens of an answer,
    which count where `convert_to_asksage` is set."""

    content: str
    model: str = "ada-002"
    convert_to_asksage: bool = False
    completion_estimate: int = Field(0, ge=0)


@router.api_route("/tokenizer", methods=["GET", "POST"])
@documented(
    body=TokenizerBody,
    form=TokenizerBody,
    inference=True,
    answer=Status,
    examples={"a text": {"content": "Hello there"}},
)
async def tokenizer(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """How many tokens a text has, as decimal digits in a text. An Ask Sage token is a token."""
    body = (await bodies.read(request, TokenizerBody, limit=services.settings.max_body)).body
    having = able(services, pipeline.caller, Task.TOKENIZE)
    if not having:
        raise ModelNotFound.named(body.model, Task.TOKENIZE)
    name = body.model if body.model in having else _default(services.settings.asksage_model, having)
    job = TokenizeJob(of=CompletionJob(prompts=(body.content,), add_special_tokens=False))
    async with pipeline.run(ask_of(request, pipeline.caller, name, quality=None), job) as run:
        found = await while_connected(request, first_event(run))
    if not isinstance(found, Tokenized):
        raise InternalError
    return said(str(len(found.ids) + (body.completion_estimate if body.convert_to_asksage else 0)))


def _default(chosen: str | None, having: list[str]) -> str:
    return chosen if chosen in having else having[0]
