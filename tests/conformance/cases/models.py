"""Models. GET /v1/models and /v1/models/{id}."""

import json
import time
from typing import Any
from urllib.parse import quote

from openai.types import Model

from tests.conformance.asks import chat, completed
from tests.conformance.case import NotServed, case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.target import Target


def listed(target: Target) -> list[Model]:
    body = ok(target.get("/models")).json()
    equal(body.get("object"), "list", "object")
    that(isinstance(body.get("data"), list) and body["data"], "data is no list of models")
    return [target.strict(Model, json.dumps(one), "a model") for one in body["data"]]


def lasting(row: dict[str, Any]) -> dict[str, Any]:
    """What is said of a model, without what this server adds of its bytes in memory: they are measured now and then."""
    engines = row.get("models")
    if not isinstance(engines, dict):
        return row
    return row | {"models": {task: one | {"memory": None} for task, one in engines.items()}}


@case("OpenAI")
def form(target: Target) -> None:
    """The list has `object: list`, and each model id, object, created and owned_by."""
    listed(target)


@case("OpenAI")
def created(target: Target) -> None:
    """`created` is in seconds, and not in the future."""
    for one in listed(target):
        that(0 < one.created <= time.time() + 60, f"{one.id} was created at {one.created}")


@case("OpenAI")
def ids_differ(target: Target) -> None:
    """No id is there twice."""
    ids = [one.id for one in listed(target)]
    equal(len(set(ids)), len(ids), "the number of different ids")


@case("OpenAI")
def created_stays(target: Target) -> None:
    """The list is the same when it is asked for again."""
    first, again = ([lasting(one.model_dump()) for one in listed(target)] for _ in range(2))
    equal(first, again, "the list, asked for again,")


@case("OpenAI")
def retrieve(target: Target) -> None:
    """Each listed id is found by itself, as the same object."""
    for one in listed(target):
        answer = ok(target.get(f"/models/{quote(one.id, safe='')}"))
        alone = target.strict(Model, answer.raw, "the model")
        equal(lasting(alone.model_dump()), lasting(one.model_dump()), f"{one.id} by itself")


@case("OpenAI", needs="slashed")
def encoded_slash(target: Target) -> None:
    """An id with a slash is found as `a%2Fb`, as the SDK asks for it."""
    name = target.model("slashed")
    value = target.strict(Model, ok(target.get(f"/models/{quote(name, safe='')}", here=False)).raw)
    equal(value.id, name, "the id")


@case("OpenAI", needs="slashed")
def raw_slash(target: Target) -> None:
    """An id with a slash is found as `a/b` too."""
    value = target.strict(Model, ok(target.get(f"/models/{target.model('slashed')}", here=False)).raw)
    equal(value.id, target.model("slashed"), "the id")


@case("OpenAI")
def unknown(target: Target) -> None:
    """An unknown id is a 404 with code model_not_found, and no param."""
    value = error(target.get("/models/none-of-that-name", here=False), 404, code="model_not_found")
    equal(value.param, None, "the error's param")
    that("none-of-that-name" in value.message, f"the message does not name the model: {value.message}")


@case("OpenAI", needs="chat")
def unknown_in_a_chat(target: Target) -> None:
    """An unknown model in a chat is the same 404, in the API's own words."""
    value = error(chat(target, model="none-of-that-name"), 404, code="model_not_found")
    that(
        value.message.startswith("The model `none-of-that-name` does not exist or you do not have access to it."),
        f"the message is {value.message}",
    )


@case("OpenAI")
def delete(target: Target) -> None:
    """A model of the server's own can't be deleted: a refusal in the envelope."""
    error(target.send("DELETE", f"/models/{quote(listed(target)[0].id, safe='')}", here=False), (400, 403, 404, 405))


@case("OpenAI")
def wrong_key(target: Target) -> None:
    """A wrong key is a 401 with code invalid_api_key."""
    if not target.key:
        raise NotServed("asks for no key")
    error(target.get("/models", key="sk-none-of-ours"), 401, code="invalid_api_key")


@case("OpenAI")
def no_key(target: Target) -> None:
    """A missing key is a 401 with code null."""
    if not target.key:
        raise NotServed("asks for no key")
    equal(error(target.get("/models", key=""), 401).code, None, "the error's code")


@case("sagehold, reports", needs="chat")
def chat_first(target: Target) -> None:
    """The first listed name can chat: programs take it without asking."""
    completed(target, model=listed(target)[0].id, max_tokens=1)


@case("vLLM", needs="chat")
def max_model_len(target: Target) -> None:
    """A chat model tells `max_model_len`, its context in tokens, and `root`: load generators and proxies read them."""
    name = target.model("chat")
    extra = target.strict(Model, ok(target.get(f"/models/{quote(name, safe='')}")).raw).model_extra or {}
    that(isinstance(extra.get("max_model_len"), int), f"max_model_len is {extra.get('max_model_len')}")
    that(isinstance(extra.get("root"), str), f"root is {extra.get('root')}")


@case("sagehold", needs="alias")
def alias(target: Target) -> None:
    """A second public name answers, and `model` in the answer is the name that was asked for."""
    name = target.model("alias")
    equal(completed(target, model=name, max_tokens=1).model, name, "model")
    equal(target.strict(Model, ok(target.get(f"/models/{quote(name, safe='')}")).raw).id, name, "the id")


@case("reports", needs="mode")
def name_with_a_mode(target: Target) -> None:
    """A name with a quality mode (`NAME:ultra`) is found as the chat finds it."""
    name = target.model("mode")
    equal(target.strict(Model, ok(target.get(f"/models/{quote(name, safe='')}")).raw).id, name, "the id")
    equal(completed(target, model=name, max_tokens=2).model, name, "model")
