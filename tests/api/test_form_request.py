"""Each way of asking for a form becomes one, and two are refused."""

import json
from typing import Any

import pytest

from server.api.openai.chat_request import ChatRequest
from server.api.validation import validate
from server.core import ChatJob, Constraint
from server.errors import InvalidRequest

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TAG = {"triggers": ["<f"], "structures": [{"begin": "<f>", "schema": SCHEMA, "end": "</f>"}]}
TAGGED = {"type": "structural_tag", **TAG}
FUNCTION = {"type": "function", "function": {"name": "f"}}
ANYTHING = {"type": "object"}


def job(**fields: Any) -> ChatJob:
    return validate(ChatRequest, {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).job()


@pytest.mark.parametrize(
    ("fields", "field", "schema", "constraint"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format", ANYTHING, None),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, "response_format", SCHEMA, None),
        ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, "response_format", SCHEMA, None),
        ({"response_format": TAGGED}, "response_format", None, ("structural_tag", TAGGED)),
        ({"structured_outputs": {"json": SCHEMA}}, "structured_outputs.json", SCHEMA, None),
        ({"structured_outputs": {"json": json.dumps(SCHEMA)}}, "structured_outputs.json", SCHEMA, None),
        ({"structured_outputs": {"json_object": True}}, "structured_outputs.json_object", ANYTHING, None),
        ({"structured_outputs": {"regex": "a+", "choice": None}}, "structured_outputs.regex", None, ("regex", "a+")),
        ({"structured_outputs": {"choice": ["a", "b"]}}, "structured_outputs.choice", None, ("choice", ("a", "b"))),
        ({"structured_outputs": {"grammar": "root ::= [a]"}}, "structured_outputs.grammar", None,
         ("grammar", "root ::= [a]")),
        ({"structured_outputs": {"structural_tag": json.dumps(TAG)}}, "structured_outputs.structural_tag", None,
         ("structural_tag", TAG)),
        ({"structured_outputs": {"json": SCHEMA, "disable_any_whitespace": True, "json_object": False}},
         "structured_outputs.json", SCHEMA, None),
        ({"guided_json": SCHEMA}, "guided_json", SCHEMA, None),
        ({"guided_json": json.dumps(SCHEMA), "guided_decoding_backend": "guidance:no-fallback"}, "guided_json", SCHEMA,
         None),
        ({"guided_regex": "a+"}, "guided_regex", None, ("regex", "a+")),
        ({"guided_choice": ["a", "b"]}, "guided_choice", None, ("choice", ("a", "b"))),
        ({"guided_grammar": "root ::= [a]"}, "guided_grammar", None, ("grammar", "root ::= [a]")),
        ({"guided_json_object": True}, "guided_json_object", ANYTHING, None),
        ({"structural_tag": TAG}, "structural_tag", None, ("structural_tag", TAG)),
        ({"response_format": {"type": "text"}, "guided_regex": "a"}, "guided_regex", None, ("regex", "a")),
        ({"response_format": {"type": "text"}}, None, None, None),
        ({"guided_json_object": False}, None, None, None),
        ({}, None, None, None),
    ],
)  # fmt: skip
def test_each_way_of_asking_is_understood(fields: Any, field: str | None, schema: Any, constraint: Any) -> None:
    made = job(**fields)
    assert (made.form_field, made.output_schema) == (field, schema)
    if constraint is None:
        assert made.constraint is None
        return
    kind, value = constraint
    assert isinstance(made.constraint, Constraint)
    assert made.constraint.kind == kind
    assert (json.loads(str(made.constraint.value)) if kind == "structural_tag" else made.constraint.value) == value


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_choice"),
        ({"response_format": {"type": "json_object"}, "guided_json": SCHEMA}, "guided_json"),
        ({"structured_outputs": {"json": SCHEMA, "regex": "a"}}, "structured_outputs.regex"),
        ({"structured_outputs": {"regex": "a"}, "guided_regex": "a"}, "guided_regex"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs"),
        ({"structured_outputs": {"regex": 5}}, "structured_outputs.regex"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "[]"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "[" * 100_000}}, "structured_outputs.json"),
        ({"structured_outputs": {"regex": "a", "whitespace_pattern": "x"}}, "structured_outputs.whitespace_pattern"),
        ({"guided_json": SCHEMA, "guided_whitespace_pattern": "x"}, "guided_whitespace_pattern"),
        ({"guided_json": SCHEMA, "guided_decoding_backend": "outlines"}, "guided_decoding_backend"),
        ({"guided_json": [1]}, "guided_json"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_regex": ""}, "guided_regex"),
        ({"guided_grammar": ""}, "guided_grammar"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"guided_choice": ["a"], "tools": [FUNCTION], "tool_choice": "required"}, "guided_choice"),
        ({"guided_json": SCHEMA, "tools": [FUNCTION], "tool_choice": "required"}, "guided_json"),
        ({"structured_outputs": {"json": SCHEMA}, "tools": [FUNCTION], "tool_choice": "f"}, "structured_outputs"),
        ({"guided_json_object": True, "tools": [FUNCTION], "tool_choice": "required"}, "guided_json_object"),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused_by_name(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        job(**fields)
    assert refused.value.param is not None
    assert refused.value.param.startswith(param)


def test_a_form_of_the_answer_in_words_may_stand_beside_a_call() -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    assert job(response_format=asked, tools=[FUNCTION], tool_choice="required").output_schema == SCHEMA
    assert job(guided_json=SCHEMA, tools=[FUNCTION], tool_choice="auto").form_field == "guided_json"
