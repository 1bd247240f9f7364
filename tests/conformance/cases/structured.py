"""Structured output. Answers that must have a form."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.conformance.asks import SCHEMA, chat, completed, finishes, joined, json_of, obeys, read_chat, streamed, text
from tests.conformance.case import case
from tests.conformance.expect import among, equal, error, short, that
from tests.conformance.target import Answer, Target

ASK = "Describe Japan in JSON."
ROOM = 80


def schema_format(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def formed(target: Target, schema: Mapping[str, Any], **fields: Any) -> Any:
    """The answer's JSON, which obeys the schema."""
    value = completed(target, ASK, response_format=schema_format(schema), **({"max_tokens": ROOM} | fields))
    equal(value.choices[0].finish_reason, "stop", "finish_reason")
    return obeys(text(value), schema)


def honest(target: Target, answer: Answer, schema: Mapping[str, Any], *words: str) -> None:
    """A 400 in a client's words that names one of these, or an answer that obeys; cut JSON says `length`."""
    if answer.status != 200:
        value = error(answer, 400)
        that(
            any(word in f"{value.message} {value.param}" for word in words),
            f"the error names none of {', '.join(words)}: {short(value.message)}",
        )
        return
    choice = read_chat(target, answer).choices[0]
    if choice.finish_reason == "stop":
        obeys(choice.message.content or "", schema)
    else:
        among(choice.finish_reason, ("length", "content_filter"), "finish_reason")


@case("OpenAI", needs="chat")
def json_schema(target: Target) -> None:
    """`json_schema` gives JSON that obeys, as a string."""
    formed(target, SCHEMA)


@case("OpenAI", needs="chat")
def strict(target: Target) -> None:
    """`strict: true`, as the SDK's `.parse()` sends it, gives JSON that obeys."""
    form = schema_format(SCHEMA, strict=True, description="A country.")
    obeys(text(completed(target, ASK, response_format=form, max_tokens=ROOM)), SCHEMA)


@case("OpenAI", needs="chat")
def json_object(target: Target) -> None:
    """`json_object` gives an object, or cut JSON with finish_reason `length`."""
    value = completed(target, ASK, response_format={"type": "json_object"}, max_tokens=48)
    if value.choices[0].finish_reason == "stop":
        equal(type(json_of(text(value))), dict, "the answer's type")
    else:
        that(text(value).lstrip().startswith("{"), f"the answer is {text(value)!r}")


@case("llama.cpp", needs="chat")
def schema_beside_json_object(target: Target) -> None:
    """A bare `schema` beside `json_object` is obeyed."""
    form = {"type": "json_object", "schema": SCHEMA}
    obeys(text(completed(target, ASK, response_format=form, max_tokens=ROOM)), SCHEMA)


@case("OpenAI", needs="chat")
def stream(target: Target) -> None:
    """A stream's pieces are JSON that obeys."""
    chunks = streamed(target, ASK, response_format=schema_format(SCHEMA), max_tokens=ROOM)
    obeys(joined(chunks), SCHEMA)
    equal(finishes(chunks), ["stop"], "the finish reasons")


@case("OpenAI", needs="chat")
def cut(target: Target) -> None:
    """JSON that the limit cuts finishes with `length`."""
    value = completed(target, ASK, response_format=schema_format(SCHEMA), max_tokens=2)
    equal(value.choices[0].finish_reason, "length", "finish_reason")


@case("OpenAI", needs="chat")
def choices(target: Target) -> None:
    """With `n: 2` both choices obey."""
    form = schema_format(SCHEMA)
    value = completed(target, ASK, response_format=form, n=2, temperature=1, max_tokens=ROOM)
    obeys(text(value, 0), SCHEMA)
    obeys(text(value, 1), SCHEMA)


NESTED = {
    "type": "object",
    "properties": {
        "where": {"type": "object", "properties": {"name": {"enum": ["Asia"]}}, "required": ["name"]},
        "islands": {
            "type": "array",
            "maxItems": 1,
            "items": {"type": "object", "properties": {"name": {"enum": ["Honshu"]}}, "required": ["name"]},
        },
    },
    "required": ["where", "islands"],
}


@case("reports, sagehold", needs="chat")
def nothing_undeclared(target: Target) -> None:
    """Without additionalProperties no key comes that the schema does not declare."""
    found = formed(target, {"type": "object", "properties": {"large": {"type": "boolean"}}, "required": ["large"]})
    equal(sorted(found), ["large"], "the keys")


@case("reports, sagehold", needs="chat")
def nothing_undeclared_inside(target: Target) -> None:
    """The same in objects inside of objects and lists."""
    found = formed(target, NESTED)
    equal(sorted(found), ["islands", "where"], "the keys")
    equal(sorted(found["where"]), ["name"], "the keys inside")
    for island in found["islands"]:
        equal(sorted(island), ["name"], "the keys inside of the list")


@case("reports, sagehold", needs="chat")
def additional_properties(target: Target) -> None:
    """A schema with `additionalProperties` (true, or a schema) is taken, and obeyed."""
    for extra in (True, {"type": "boolean"}):
        schema = {"type": "object", "properties": {"large": {"type": "boolean"}}, "additionalProperties": extra}
        honest(
            target, chat(target, ASK, response_format=schema_format(schema), max_tokens=40), schema, "additionalProp"
        )


@case("OpenAI", needs="chat")
def references(target: Target) -> None:
    """`$ref` to `$defs` is followed."""
    formed(target, {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/size"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"size": {"enum": ["small", "large"]}},
    })  # fmt: skip


TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"enum": [1]}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}},
            "required": ["v", "next"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}


@case("reports", needs="chat")
def recursion(target: Target) -> None:
    """A schema that refers to itself, and can end, is obeyed."""
    honest(target, chat(target, ASK, response_format=schema_format(TREE), max_tokens=ROOM), TREE, "$ref")


def _odd(name: str, title: str, schema: Mapping[str, Any], *words: str, refused: bool = False) -> None:
    def check(target: Target) -> None:
        answer = chat(target, ASK, response_format=schema_format(schema), max_tokens=48)
        if refused and answer.status == 200:
            choice = read_chat(target, answer).choices[0]
            that(choice.finish_reason != "stop", f"200 and `stop` for {short(choice.message.content)}")
        elif refused:
            error(answer, 400)
        else:
            honest(target, answer, schema, *words)

    check.__name__ = name
    check.__doc__ = title
    case("reports", needs="chat")(check)


ENDLESS = {"$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}}
BOTH = {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"type": "integer"}]}}, "required": ["a"]}
_odd(
    "endless",
    "A schema that refers to itself without an end: 400, never broken JSON with `stop`.",
    {**ENDLESS, "$ref": "#/$defs/a"},
    refused=True,
)
_odd(
    "circle",
    "References in a circle: 400, never broken JSON with `stop`.",
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    refused=True,
)
_odd("contradiction", "A schema that contradicts itself: 400, never broken JSON with `stop`.", BOTH, refused=True)
_odd(
    "impossible_number",
    "minimum above maximum: 400, never broken JSON with `stop`.",
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 2}}, "required": ["a"]},
    refused=True,
)
_odd(
    "required_but_forbidden",
    "A required key that additionalProperties: false forbids: 400, never broken JSON with `stop`.",
    {"type": "object", "properties": {}, "required": ["a"], "additionalProperties": False},
    refused=True,
)
_odd("empty_enum", "An enum without values: 400, never broken JSON with `stop`.", {"enum": []}, refused=True)
LIST = {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 2}
PAIR = {"type": "object", "properties": {"a": {"enum": [1]}, "b": {"enum": [1]}}}
_odd("unique_items", "`uniqueItems` is obeyed, or refused by name.", {**LIST, "uniqueItems": True}, "uniqueItems")
_odd("contains", "`contains` is obeyed, or refused by name.", {**LIST, "contains": {"const": 2}}, "contains")
_odd(
    "dependent_schemas",
    "`dependentSchemas` is obeyed, or refused by name.",
    {**PAIR, "dependentSchemas": {"a": {"required": ["b"]}}},
    "dependentSchemas",
)
_odd("negation", "`not` is obeyed, or refused by name.", {"enum": ["a", "b"], "not": {"const": "a"}}, "not")
_odd(
    "conditional",
    "`if`, `then` and `else` are obeyed, or refused by name.",
    {**PAIR, "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    "if",
    "then",
)
_odd("min_properties", "`minProperties` is obeyed, or refused by name.", {**PAIR, "minProperties": 2}, "minProperties")
_odd("pattern", "`pattern` is obeyed, or refused by name.", {"type": "string", "pattern": "^ab?c$"}, "pattern")
_odd("format", "`format` is obeyed, or refused by name.", {"type": "string", "format": "date"}, "format")
_odd(
    "dialect",
    "`$schema`, `$id`, title, description, default and examples constrain nothing and are taken.",
    {
        **SCHEMA,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/a",
        "title": "A",
        "description": "A country.",
        "default": {},
        "examples": [{}],
    },
    "nothing",
)


@case("reports", needs="chat")
def no_schema(target: Target) -> None:
    """A schema of an unknown type, or with an unknown reference, is a 400 in a client's words."""
    for schema in ({"type": "thing"}, {"$ref": "#/$defs/none"}, {"type": "object", "properties": 5}):
        error(chat(target, ASK, response_format=schema_format(schema)), 400)


@case("OpenAI", needs="chat")
def long_name(target: Target) -> None:
    """A schema's name of 64 characters is taken."""
    form = schema_format(SCHEMA) | {"json_schema": {"name": "n" * 64, "schema": SCHEMA}}
    completed(target, ASK, response_format=form, max_tokens=1)


def _form(name: str, title: str, fields: Mapping[str, Any], right: str) -> None:
    def check(target: Target) -> None:
        found = text(completed(target, "What is the capital of Japan?", max_tokens=24, **fields))
        that(re.fullmatch(right, found.strip()), f"the answer is {found!r}")

    check.__name__ = name
    check.__doc__ = title
    case("vLLM, sagehold", needs="chat")(check)


CHOICE = ["Lima", "Oslo"]
EBNF = 'root ::= "Lima" | "Oslo"'
SMALL = {"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"], "additionalProperties": False}
A_JSON = r'\{\s*"a"\s*:\s*1\s*\}'
_form(
    "structured_choice",
    "`structured_outputs.choice` is obeyed.",
    {"structured_outputs": {"choice": CHOICE}},
    "Lima|Oslo",
)
_form(
    "structured_regex",
    "`structured_outputs.regex` is obeyed.",
    {"structured_outputs": {"regex": "[0-9]{3}"}},
    "[0-9]{3}",
)
_form("structured_json", "`structured_outputs.json` is obeyed.", {"structured_outputs": {"json": SMALL}}, A_JSON)
_form(
    "structured_grammar",
    "`structured_outputs.grammar` is obeyed.",
    {"structured_outputs": {"grammar": EBNF}},
    "Lima|Oslo",
)
_form("guided_choice", "The older `guided_choice` is obeyed.", {"guided_choice": CHOICE}, "Lima|Oslo")
_form("guided_regex", "The older `guided_regex` is obeyed.", {"guided_regex": "[0-9]{3}"}, "[0-9]{3}")
_form("guided_json", "The older `guided_json` is obeyed.", {"guided_json": SMALL}, A_JSON)
_form("guided_json_text", "`guided_json` may be the schema as a string.", {"guided_json": json.dumps(SMALL)}, A_JSON)
_form("guided_grammar", "The older `guided_grammar` is obeyed.", {"guided_grammar": EBNF}, "Lima|Oslo")


def _bad_form(name: str, title: str, field: str, value: Any) -> None:
    def check(target: Target) -> None:
        found = error(chat(target, **{field: value}), 400)
        that(field in f"{found.param} {found.message}", f"the error does not name {field}: {short(found.message)}")

    check.__name__ = name
    check.__doc__ = title
    case("vLLM, sagehold", needs="chat")(check)


_bad_form("bad_regex", "A broken pattern is refused by name.", "structured_outputs", {"regex": "(["})
_bad_form("bad_grammar", "A broken grammar is refused by name.", "structured_outputs", {"grammar": "root ::= ("})
_bad_form("no_choice", "An empty list of choices is refused by name.", "structured_outputs", {"choice": []})
_bad_form("two_forms", "Two forms at once are refused by name.", "structured_outputs", {"choice": ["a"], "regex": "b"})


@case("vLLM, sagehold", needs="chat")
def form_beside_a_format(target: Target) -> None:
    """A form beside a json_schema can't be: 400."""
    error(chat(target, response_format=schema_format(SCHEMA), structured_outputs={"choice": ["a"]}), 400)
