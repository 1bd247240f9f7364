"""Answers with a form, from the real starter model, asked for in vLLM's words and in OpenAI's."""

import json
from typing import Any

import jsonschema
import openai
import pytest
from openai import OpenAI

from tests.e2e.test_python_chat import ask, text

FRUIT = "Is an apple a fruit?"
GRAMMAR = 'root ::= "(" root ")" | word\nword ::= "yes" | "no"'


def schema_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


@pytest.mark.parametrize(
    ("fields", "among"),
    [
        ({"guided_choice": ["certainly", "by no means"]}, {"certainly", "by no means"}),
        ({"structured_outputs": {"choice": ["1", "2", "3"]}}, {"1", "2", "3"}),
        ({"structured_outputs": {"regex": "(yes|no), (sir|lady)"}}, {"yes, sir", "yes, lady", "no, sir", "no, lady"}),
        ({"guided_grammar": GRAMMAR.replace('"(" root ")" | ', "")}, {"yes", "no"}),
        ({"structured_outputs": {"grammar": 'start: ("yes" | "no") "!"'}}, {"yes!", "no!"}),
    ],
)  # fmt: skip
def test_an_answer_has_the_form(sdk: OpenAI, fields: Any, among: set[str]) -> None:
    for sampling in ({}, {"temperature": 1.5, "seed": 3, "n": 3}):
        answer = ask(sdk, FRUIT, extra_body=fields, **sampling)
        assert {choice.message.content for choice in answer.choices} <= among
        assert {choice.finish_reason for choice in answer.choices} == {"stop"}


def test_the_form_stays_in_every_mode(sdk: OpenAI) -> None:
    for quality in ("low", "high", "ultra"):
        answer = ask(sdk, FRUIT, temperature=0.9, extra_body={"guided_choice": ["yes", "no"], "quality": quality})
        assert text(answer) in ("yes", "no")


def test_tags_bind_what_is_within_them(sdk: OpenAI) -> None:
    tag = {"begin": "", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}, "end": "</x>"}
    form = {"type": "structural_tag", "structures": [{**tag, "begin": "<x>"}], "triggers": ["<x"]}
    answer = ask(sdk, FRUIT, extra_body={"response_format": form}, max_tokens=20)
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert text(answer)


@pytest.mark.parametrize("hot", [{}, {"temperature": 1.5, "seed": 7}], ids=["greedy", "hot"])
def test_nothing_undeclared_is_written(sdk: OpenAI, hot: dict[str, Any]) -> None:
    point = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["x"]}
    schema = {"type": "object", "properties": {"at": {"$ref": "#/$defs/point"}}, "required": ["at"],
              "$defs": {"point": point}}  # fmt: skip
    answer = ask(sdk, "Describe a person in JSON, with name, age and place.", response_format=schema_of(schema), **hot)
    found = json.loads(text(answer))
    assert answer.choices[0].finish_reason == "stop"
    assert found.keys() == {"at"}
    assert found["at"].keys() == {"x"}


def test_a_forced_call_has_no_undeclared_arguments(sdk: OpenAI) -> None:
    parameters = {"properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]}
    function: Any = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    answer = ask(sdk, "The weather of Rome tomorrow at noon?", tools=[function], tool_choice="required")
    (call,) = answer.choices[0].message.tool_calls or ()
    assert json.loads(call.function.arguments).keys() == {"city"}  # type: ignore[union-attr]


def test_a_tree_ends(sdk: OpenAI) -> None:
    tree = {
        "type": "object",
        "properties": {
            "name": {"enum": ["root", "leaf"]},
            "kids": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
        },
        "required": ["name"],
    }
    answer = ask(sdk, "Draw a small tree in JSON.", response_format=schema_of(tree), max_tokens=200)
    if answer.choices[0].finish_reason == "stop":
        jsonschema.validate(json.loads(text(answer)), tree)
    else:
        assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"response_format": schema_of({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})},
         "response_format", "comes to an end"),
        ({"response_format": schema_of({"type": "integer", "minimum": 5, "maximum": 3})},
         "response_format", "Nothing satisfies"),
        ({"response_format": schema_of({"type": "array", "contains": {}})}, "response_format", "`contains`"),
        # Of one colour, two that differ can't be had: the model is given the grammar, and the answer is looked at.
        ({"response_format": schema_of({"type": "array", "items": {"const": "red"}, "minItems": 2, "maxItems": 2,
                                        "uniqueItems": True})}, "response_format", "uniqueItems"),
        ({"guided_regex": "(a"}, "guided_regex", "unclosed group"),
        ({"structured_outputs": {"grammar": "root ::= foo"}}, "structured_outputs.grammar", "'foo' not found"),
        ({"guided_choice": ["yes"], "min_tokens": 20}, "min_tokens", "can't be kept"),
        ({"guided_choice": ["yes"], "guided_regex": "yes"}, "guided_choice", "one form"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_said(sdk: OpenAI, fields: Any, param: str, message: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, FRUIT, extra_body=fields)
    assert refused.value.param == param
    assert message in refused.value.message
