"""/admin/v1/models: where each model stands, and its load, unload and probe by hand."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from server.api.answers import operating as answers
from server.api.body import read_json
from server.api.deps import KeyedDep, ServicesDep
from server.api.openai.models import amount_row, loading_row, price_row
from server.api.openapi import documented
from server.api.rows import AdministrationDep, answer, listing
from server.api.services import ModelState, Services
from server.api.validation import Body
from server.core import Claim
from server.errors import ModelNotFound
from server.models.config.catalog import Missing
from server.models.config.spec import ModelSpec

router = APIRouter()
MOST_BODY = 64 * 1024
Wait = Annotated[float, Field(ge=0, le=600)]


class Load(Body):
    """wait: seconds to wait for the outcome, which is answered by an error where the load fails. 0 begins it and
    answers at once: a load may take minutes, longer than proxies wait for an answer."""

    model_config = ConfigDict(extra="forbid")

    wait: Wait = 0.0


class Unload(Body):
    """grace: seconds that requests in flight get to end, before they are broken off. Without it a model in use is not
    unloaded, and the answer is 409. wait: seconds to wait until it is gone."""

    model_config = ConfigDict(extra="forbid")

    grace: Wait | None = None
    wait: Wait = 0.0


class Probe(Body):
    """Nothing has to be said."""

    model_config = ConfigDict(extra="forbid")


@router.get("/models")
@documented(answer=answers.ConfiguredModels)
async def list_models(services: ServicesDep) -> Response:
    """Every configured model by its own name, those that are not installed last, and the books of memory."""
    books = services.registry.memory()
    memory = {
        "budget": amount_row(books.budget),
        "held": {name: amount_row(amount) for name, amount in books.held.items()},
        "reported": {name: amount_row(amount) for name, amount in books.reported.items()},
    }
    return listing(_rows(services), memory=memory)


@router.get("/models/{model_id:path}")
@documented(answer=answers.ConfiguredModel)
async def retrieve_model(model_id: str, services: ServicesDep) -> Response:
    """One model, by its own name."""
    return answer(_row(model_id, services))


@router.post("/models/{model_id:path}/load")
@documented(body=Load, answer=answers.ConfiguredModel, busy=True, examples={"begun, and waited for": {"wait": 60}})
async def load_model(
    model_id: str, request: Request, caller: KeyedDep, administration: AdministrationDep, services: ServicesDep
) -> Response:
    """Load a model, or wake it, at once even after failures. Idle models make room, as they do for a request.

    Refused with 409 while it is being unloaded. With `wait`, a load that fails in that time is answered with 503.
    """
    body = await read_json(request, Load, limit=MOST_BODY, empty=True)
    name = _served(model_id, services)
    async with administration.accounts.noting("model.load", model_id, {}, actor=caller.key_id):
        begun = services.registry.begin_load(name)
    if body.wait and (error := await begun.outcome(body.wait)) is not None:
        raise error
    return answer(_row(model_id, services))


@router.post("/models/{model_id:path}/probe")
@documented(body=Probe, answer=answers.Probed, busy=True, examples={"of one model": {}})
async def probe_model(
    model_id: str, request: Request, caller: KeyedDep, administration: AdministrationDep, services: ServicesDep
) -> Response:
    """Ask a loaded model what it is asked after each load, in turn with its requests: does it still answer?

    What comes out changes nothing. Refused with 409 where the model is not loaded.
    """
    await read_json(request, Probe, limit=MOST_BODY, empty=True)
    report = await services.registry.probe(_served(model_id, services), Claim(caller.account_id))
    passed = report.reason is None
    async with administration.accounts.noting("model.probe", model_id, {"passed": passed}, actor=caller.key_id):
        pass  # what comes out is a part of the note
    checks = [{"task": one.task, "asked": one.asked, "answered": one.answered} for one in report.passed]
    return answer(
        {
            "model": model_id,
            "passed": passed,
            "reason": report.reason,
            "seconds": round(report.seconds, 3),
            "checks": checks,
        }
    )


@router.post("/models/{model_id:path}/unload")
@documented(
    body=Unload,
    answer=answers.ConfiguredModel,
    busy=True,
    examples={"gone, when those in flight had 5 s": {"grace": 5, "wait": 30}},
)
async def unload_model(
    model_id: str, request: Request, caller: KeyedDep, administration: AdministrationDep, services: ServicesDep
) -> Response:
    """End a model's engine and give its memory back. It stays away until a request, or an operator, loads it again.

    Refused with 409 while it is in use, unless `grace` is given, and while it is being loaded.
    """
    body = await read_json(request, Unload, limit=MOST_BODY, empty=True)
    name = _served(model_id, services)
    details = {} if body.grace is None else {"grace": body.grace}
    async with administration.accounts.noting("model.unload", model_id, details, actor=caller.key_id):
        begun = services.registry.begin_unload(name, body.grace)
    if body.wait:
        await begun.outcome(body.wait)
    return answer(_row(model_id, services))


# ---------------------------------------------------------------- rows


def _served(model_id: str, services: Services) -> str:
    """Raises ModelNotFound for a model that has no place in memory; it says how the files of one that is known come."""
    if any(one.spec.name == model_id for one in services.catalog.missing):
        raise services.catalog.unserved(model_id)
    return model_id


def _row(model_id: str, services: Services) -> dict[str, Any]:
    for row in _rows(services):
        if row["id"] == model_id:
            return row
    raise ModelNotFound.named(model_id)


def _rows(services: Services) -> list[dict[str, Any]]:
    catalog, states = services.catalog, services.registry.states()
    names: dict[str, list[str]] = {}
    for public in catalog.public_models():
        for own in dict.fromkeys(spec.name for spec in public.tasks.values()):
            names.setdefault(own, []).append(public.id)
    installed = [_installed(spec, names.get(spec.name, []), states[spec.name]) for spec in catalog.models]
    return installed + [_not_installed(one, services) for one in catalog.missing]


def _installed(spec: ModelSpec, names: list[str], state: ModelState) -> dict[str, Any]:
    return {
        **_configured(spec),
        "names": names,
        "state": state.state,
        "reason": state.reason,
        "refusal": state.refusal,
        "loading": None if state.loading is None else loading_row(state.loading),
        "running": state.running,
        "waiting": state.waiting,
        "places": state.places,
        "context": state.context,
        "memory": {"held": amount_row(state.held), "reported": amount_row(state.reported)},
        "missing": [],
    }


def _not_installed(one: Missing, services: Services) -> dict[str, Any]:
    nothing: Mapping[str, Any] = {"host": 0, "gpus": {}}
    root = services.settings.models_dir.resolve()
    return {
        **_configured(one.spec),
        "names": [],
        "state": "not_installed",
        "reason": None,
        "refusal": None,
        "loading": None,
        "running": 0,
        "waiting": 0,
        "places": 0,
        "context": None,
        "memory": {"held": nothing, "reported": nothing},
        "missing": [str(file.relative_to(root) if file.is_relative_to(root) else file) for file in one.files],
    }


def _configured(spec: ModelSpec) -> dict[str, Any]:
    return {
        "id": spec.name,
        "engine": spec.engine,
        "tasks": list(spec.tasks),
        "description": spec.description,
        "price": price_row(spec.price),
        "load": spec.load,
        "fetch": spec.fetch,
    }
