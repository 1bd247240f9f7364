"""GET /openapi.json: every route with its bodies, answers, errors and scopes, by the OpenAPI Specification 3.1.0.

Routes read their bodies by themselves (server/api/body.py), so FastAPI can't see what they take. A route says it beside
its path, by `@documented(…)`; what is here adds what all routes have in common.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from server.api.access import scopes_of
from server.api.answers.asksage import Refusal

router = APIRouter()

ABOUT = (
    "The OpenAI API over models that run on this machine. Each path that begins with /v1 answers under /openai/v1, "
    "/server/v1 and /server/openai/v1 too."
)
REF = "#/components/schemas/{model}"

VALIDATED: JsonSchemaMode = "validation"
SERIALIZED: JsonSchemaMode = "serialization"

NATIVE = ("/server/", "/user/")
"""Paths of the Ask Sage API, whose refusals have a form of their own."""
REFUSED = (
    "A refusal: with HTTP status 200 and its own in the body, or with its own for both where the server is strict."
)

ERRORS: Mapping[int, str] = {
    400: "The request is wrong: `param` names the field.",
    401: "There is no key, a wrong one, or one whose account is closed.",
    402: "The account can't pay for it.",
    403: "The key may not do that, or may not use this model.",
    404: "There is no such URL, model or object.",
    405: "The URL has no such method.",
    408: "The body did not arrive in time.",
    409: "It does not go with what is there: a name that is taken, something that is in use or changing just now.",
    413: "The body is too large.",
    415: "The body has a content type or coding that is not read here.",
    416: "None of the bytes that were asked for are there.",
    429: "A limit of the key or of the account is reached; `retry-after` says for how long.",
    500: "A bug in the server.",
    503: "The model is not ready, or too many requests wait for it; `retry-after` says how long to wait.",
}
OF_ALL = (405, 500)
OF_KEYED = (401, 403)
OF_BODIES = (400, 408, 413, 415)
OF_INFERENCE = (402, 404, 429, 503)
OF_BUSY = (409, 429, 503)


class ErrorFields(BaseModel):
    """type: the family of the error. param: the field that is wrong, as a path such as `messages[0].content`."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    """The shape of every refusal."""

    error: ErrorFields


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """What a route takes and gives.

    body: of a JSON request; form: of a multipart one, with the names of its files, each required or not.
    inference: whether a model works for it. answer: of its JSON, one or several forms; none where it is not JSON.
    media: other media types that it answers with.
    events: the data of each server-sent event of a stream. examples: bodies, by a line that says what they show.
    missing: whether what a field or a parameter of it names may not be there, which is a 404.
    taken: whether what is there already may forbid it, which is a 409.
    busy: whether what it is about may be in use or changing, or can't be had, which are a 409 and a 503.
    ranged: whether parts of it can be had, which are a 206, and a 304 for who has it already.
    """

    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    files: Mapping[str, bool] = field(default_factory=dict)
    answer: type[BaseModel] | tuple[type[BaseModel], ...] = ()
    media: tuple[str, ...] = ()
    events: tuple[type[BaseModel], ...] = ()
    inference: bool = False
    missing: bool = False
    taken: bool = False
    busy: bool = False
    ranged: bool = False
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def models(self) -> list[tuple[type[BaseModel], JsonSchemaMode]]:
        """All of them, and whether they come in or go out."""
        taken = [model for model in (self.body, self.form) if model is not None]
        given = [*self.answers, *self.events]
        return [*((model, VALIDATED) for model in taken), *((model, SERIALIZED) for model in given)]

    @property
    def answers(self) -> tuple[type[BaseModel], ...]:
        return self.answer if isinstance(self.answer, tuple) else (self.answer,)


E = TypeVar("E", bound=Callable[..., Any])
_DOCUMENTED: dict[Callable[..., Any], Documented] = {}
"""By endpoint."""


def documented(**said: Any) -> Callable[[E], E]:
    """Says of an endpoint what the fields of Documented are."""

    def note(endpoint: E) -> E:
        _DOCUMENTED[endpoint] = Documented(**said)
        return endpoint

    return note


def documented_of(route: APIRoute) -> Documented:
    return _DOCUMENTED.get(route.endpoint, Documented())


class Document(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


@router.get("/openapi.json")
@documented(answer=Document)
async def openapi(request: Request) -> Response:
    """This document."""
    app: FastAPI = request.app
    if not hasattr(app.state, "openapi"):
        app.state.openapi = orjson.dumps(document(app))
    return Response(app.state.openapi, media_type="application/json")


# ---------------------------------------------------------------- the document


def document(app: FastAPI) -> dict[str, Any]:
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    with warnings.catch_warnings():
        # A route of several methods gives its operations one id, which is replaced below.
        warnings.filterwarnings("ignore", "Duplicate Operation ID")
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=ABOUT,
            servers=[{"url": "/"}],
            routes=routes,
        )
    used: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Error, SERIALIZED)]
    used.append((Refusal, SERIALIZED))
    used += [each for route in routes for each in documented_of(route).models]
    names, definitions = models_json_schema(list(dict.fromkeys(used)), ref_template=REF)
    made["components"] = {
        "schemas": definitions["$defs"],
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key. Each operation names the scope that it needs.",
            },
            "token": {
                "type": "apiKey",
                "in": "header",
                "name": "x-access-tokens",
                "description": "An API key, or a token that it was exchanged for. A bearer key is taken too.",
            },
        },
        "responses": {
            str(status): {"description": text, "content": _json({"$ref": REF.format(model="Error")})}
            for status, text in ERRORS.items()
        },
    }
    for route in routes:
        for method in route.methods:
            operation = made["paths"][route.path_format][method.lower()]
            _complete(operation, method, route, names)
    return made


Names = Mapping[tuple[Any, JsonSchemaMode], dict[str, Any]]
"""References to the components, by their models and whether these come in or go out."""


def _complete(operation: dict[str, Any], method: str, route: APIRoute, names: Names) -> None:
    """Add what FastAPI can't see of a route. Its summary is the first sentence of its docstring."""
    about = documented_of(route)
    operation["operationId"] = f"{method.lower()}_{route.name}_{_slug(route.path_format)}"
    operation["tags"] = [_tag(route.path_format)]
    text = inspect.getdoc(route.endpoint) or ""
    operation["summary"] = re.split(r"(?<=[.:;])\s|\n", text)[0].rstrip(".:;")
    if scopes := scopes_of(route):
        # Any of them: each is an alternative.
        scheme = "token" if route.path.startswith(NATIVE) else "key"
        operation["security"] = [{scheme: [scope]} for scope in sorted(scopes)]
    # Where a GET takes the same fields, they come in its query string.
    if (about.body or about.form) and method not in ("GET", "HEAD"):
        operation["requestBody"] = {"required": True, "content": _request(about, names)}
    answered: dict[str, Any] = {"200": {"description": "The answer.", "content": _answer(about, names)}}
    if about.ranged:
        partly = answered["200"]["content"] | {"multipart/byteranges": {"schema": {"type": "string"}}}
        answered["206"] = {"description": "The parts that were asked for.", "content": partly}
        answered["304"] = {"description": "It is what the client has already."}
    errors: dict[str, Any] = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in _errors(route, about, bool(scopes))
    }
    if route.path.startswith(NATIVE):
        refused = {"description": REFUSED, "content": _json(names[Refusal, SERIALIZED])}
        errors = {"default": refused}
    operation["responses"] = answered | errors
    if method == "HEAD":
        for answer in answered.values():
            answer.pop("content", None)


def _request(about: Documented, names: Names) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if about.body is not None:
        content |= _json(names[about.body, VALIDATED])
        if about.examples:
            content["application/json"]["examples"] = {
                f"{place}": {"summary": summary, "value": value}
                for place, (summary, value) in enumerate(about.examples.items(), 1)
            }
    if about.form is not None:
        binary = {"type": "string", "contentMediaType": "application/octet-stream"}
        files: dict[str, Any] = {
            "type": "object",
            "properties": dict.fromkeys(about.files, binary),
            "required": [name for name, needed in about.files.items() if needed],
        }
        content["multipart/form-data"] = {"schema": {"allOf": [names[about.form, VALIDATED], files]}}
    return content


def _answer(about: Documented, names: Names) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if about.answers:
        content |= _json(_any_of([names[answer, SERIALIZED] for answer in about.answers]))
    if about.events:
        content["text/event-stream"] = {"schema": _any_of([names[event, SERIALIZED] for event in about.events])}
    for media in about.media:
        content[media] = {"schema": {"type": "string"}}
    return content


def _errors(route: APIRoute, about: Documented, keyed: bool) -> Iterator[int]:
    yield from sorted(
        {
            *OF_ALL,
            *(OF_KEYED if keyed else ()),
            *(OF_BODIES if about.body or about.form else ()),
            *(OF_INFERENCE if about.inference else ()),
            *(OF_BUSY if about.busy else ()),
            *((409,) if about.taken else ()),
            *((404,) if route.param_convertors or about.missing else ()),
            *((400,) if route.dependant.query_params or about.ranged else ()),
            *((416,) if about.ranged else ()),
        }
    )


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _slug(path: str) -> str:
    return re.sub(r"\W+", "_", path).strip("_")


def _tag(path: str) -> str:
    """The family of a path: `/v1/audio/speech` is of `audio`, `/admin/v1/keys` of `admin`, `/health` of `operation`."""
    first, *rest = path.strip("/").split("/")
    return rest[0] if first == "v1" else first if rest else "operation"
