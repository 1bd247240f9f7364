"""GET /v1/models: the public names, what each can do, where its models stand and what it costs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from server.api.answers.models import Model, Models
from server.api.deps import CallerDep, ServicesDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import Amount, Loading, ModelState, PublicModel
from server.core import Caller, Quality, Task
from server.errors import ModelNotFound
from server.media import image_sizes
from server.models.config.senses import Senses
from server.models.config.spec import DiffusersModel, ModelSpec, Price
from server.pipeline.modes import no_mode

router = APIRouter(route_class=PlainRoute)

# A name that stands for several models is as far as the one that is furthest behind.
_FURTHEST_BEHIND_FIRST = ("failed", "unloaded", "loading", "draining", "asleep", "ready")


@router.get("/models")
@documented(answer=Models)
async def list_models(caller: CallerDep, services: ServicesDep) -> Response:
    """The public names that the key may use; those that chat come first."""
    states = services.registry.states()
    # Clients that take the first name they see must get one that chats; otherwise the configs' order holds.
    public = sorted(services.catalog.public_models(), key=lambda one: Task.CHAT not in one.tasks)
    data = [_described(one, states) for one in public if visible(one, caller)]
    # What all models together may hold, of the host and of each GPU.
    budget = amount_row(services.registry.memory().budget)
    return _json({"object": "list", "data": data, "memory": {"budget": budget}})


@router.get("/models/{model_id:path}")
@documented(answer=Model)
async def retrieve_model(model_id: str, caller: CallerDep, services: ServicesDep) -> Response:
    """One public name; a suffix may name a quality mode."""
    public = {one.id: one for one in services.catalog.public_models() if visible(one, caller)}
    found = public.get(model_id)
    if found is None:
        # As a chat takes it: a suffix may name a quality mode, and a name that stands as it is is never cut.
        bare, colon, word = model_id.rpartition(":")
        found = public.get(bare) if colon else None
        mode = Quality.of(word)
        if found is None:
            name = model_id if mode is None else bare
            # A name that the key may not use is as good as none.
            shown = caller.models is None or name in caller.models
            raise services.catalog.unserved(name) if shown else ModelNotFound.named(name)
        if mode is None:
            raise no_mode(word)
    return _json(_described(found, services.registry.states()) | {"id": model_id})


def visible(public: PublicModel, caller: Caller) -> bool:
    """Whether the caller's key may use that name; a name that it may not use is not shown to it either."""
    return caller.models is None or public.id in caller.models


def _described(public: PublicModel, states: Mapping[str, ModelState]) -> dict[str, Any]:
    """The OpenAI model object, and what this server adds to it.

    capabilities: the tasks. parent: the model of a LoRA adapter. state: of the model that is furthest behind; `reason`
    if it failed. models: the model behind each task, with the bytes that it holds in the memory ledger and those that
    the machine reported last, and what its load is at while it is loading. price: credits a unit, as decimal strings.
    root, max_model_len: of a language model its own name, and its context in tokens once that is known, as vLLM shows
    them. input_modalities: of a model that chats. image: how a model draws, see Drawing.
    """
    models = {task: states[spec.name] for task, spec in public.tasks.items()}
    behind = min(models.values(), key=lambda model: _FURTHEST_BEHIND_FIRST.index(model.state))
    described: dict[str, Any] = {
        "id": public.id,
        "object": "model",
        "created": public.created,
        "owned_by": public.owned_by,
        "description": public.description,
        "capabilities": list(public.tasks),
        "state": behind.state,
    }
    if behind.reason is not None:
        described["reason"] = behind.reason
    if public.parent is not None:
        described["parent"] = public.parent
    language = public.tasks.get(Task.CHAT) or public.tasks.get(Task.COMPLETION)
    if language is not None:
        described["root"] = language.name
        context = states[language.name].context or getattr(language, "max_model_len", None)
        if context is not None:
            described["max_model_len"] = context
    if (chats := public.tasks.get(Task.CHAT)) is not None:
        described["input_modalities"] = _senses(chats, hears=Task.TRANSCRIPTION in public.tasks)
    drawing = public.tasks.get(Task.IMAGE)
    if isinstance(drawing, DiffusersModel):
        described["image"] = _drawing(drawing)
    described["models"] = {task.value: _model(spec.name, states[spec.name]) for task, spec in public.tasks.items()}
    described["price"] = price_row(public.price)
    return described


def _senses(spec: ModelSpec, *, hears: bool) -> list[str]:
    """What the messages of a chat may hold. hears: whether the public name has a model that transcribes."""
    assert isinstance(spec, Senses)
    # A fake takes what comes.
    sees = getattr(spec, "images", True)
    hears = hears or spec.audio or spec.transcriber is not None
    return ["text", *(["image"] if sees else []), *(["audio"] if hears else [])]


def _model(name: str, model: ModelState) -> dict[str, Any]:
    memory = {"held": amount_row(model.held), "reported": amount_row(model.reported)}
    described = {"model": name, "state": model.state, "memory": memory}
    return described if model.loading is None else described | {"loading": loading_row(model.loading)}


def _drawing(spec: DiffusersModel) -> dict[str, Any]:
    own = image_sizes.name(spec.size)
    fixed = bool(spec.sizes) or spec.resample != "none"
    sizes = list(dict.fromkeys((own, *spec.sizes))) if fixed else []
    return {"size": own, "sizes": sizes, "steps": spec.steps, "guidance": spec.guidance}


def loading_row(loading: Loading) -> dict[str, Any]:
    """phase: what the load is at; seconds: since it began."""
    return {"phase": loading.phase, "seconds": round(loading.seconds, 1)}


def amount_row(amount: Amount) -> dict[str, Any]:
    """Bytes of the host, and of each GPU that is touched, by its number."""
    return {"host": amount.host, "gpus": {str(number): held for number, held in amount.gpus.items()}}


def price_row(price: Price) -> dict[str, str]:
    """Decimal strings without trailing zeros or exponents: floats would not survive the trip."""
    amounts: dict[str, Decimal] = price.model_dump()
    return {unit: f"{amount.normalize():f}" for unit, amount in amounts.items()}


def _json(data: Any) -> Response:
    return Response(orjson.dumps(data), media_type="application/json")
