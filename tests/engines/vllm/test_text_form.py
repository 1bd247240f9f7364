"""Patterns, choices, grammars and tags: what is refused, and what a finished answer is held against."""

import json
from typing import Any

import pytest

from server.core import Constraint
from server.engines.vllm import text_form
from server.errors import InvalidRequest

pytest.importorskip("llguidance")

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WRONG = {"begin": "<function=", "schema": {"not": CITY}, "end": ""}
TAG = {"triggers": ["<function="], "structures": [{"begin": "<function=go>", "schema": CITY, "end": "</function>"}]}


def asked(kind: Any, value: Any) -> Constraint:
    return Constraint(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "right", "wrong"),
    [
        ("regex", r"[A-Z]{2}-\d+", "AB-12", "AB-"),
        ("regex", "a/b\n", "a/b\n", "a/b"),
        ("choice", ("yes", "no, not \"now\"\n", "ja 😀", ""), "ja 😀", "y"),
        ("grammar", 'start: "yes" | "no"', "no", "n"),
        ("grammar", 'root ::= "yes" | "no"', "yes", "yesno"),
        ("grammar", 'root ::= "(" root ")" | "x"', "((x))", "((x)"),
        ("structural_tag", json.dumps(TAG), 'I go. <function=go>{"city":"Oslo"}</function>', '<function=go>{"z":1}'),
        ("structural_tag", json.dumps(TAG), "no call at all", '<function=go>{"city":"Oslo"'),
    ],
)  # fmt: skip
def test_an_answer_has_the_form_or_not(kind: Any, value: Any, right: str, wrong: str) -> None:
    constraint = asked(kind, value)
    fields = text_form.fields(constraint, "field")["structured_outputs"]
    assert list(fields) == [kind]
    if kind != "structural_tag":
        assert fields[kind] == (list(value) if kind == "choice" else value)
    assert text_form.keeps(constraint, right, "field")
    assert not text_form.keeps(constraint, wrong, "field")


def test_the_schemas_of_tags_are_closed() -> None:
    fields = text_form.fields(asked("structural_tag", json.dumps(TAG)), "field")["structured_outputs"]
    assert json.loads(fields["structural_tag"])["structures"][0]["schema"] == {**CITY, "additionalProperties": False}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("regex", "(a", "field can't be kept: unclosed group."),
        ("regex", "(?=a)b",
         "field can't be kept: look-around, including look-ahead and look-behind, is not supported."),
        ("regex", r"(a)\1", "field can't be kept: backreferences are not supported."),
        ("regex", r"[^\s\S]", "Nothing satisfies field."),
        ("regex", "a" * (16 * 1024 + 1), "field has more than 16384 characters."),
        ("choice", tuple(str(n) for n in range(4097)), "field has more than 4096 choices."),
        ("choice", ("x" * 65537,), "field has more than 65536 characters."),
        ("grammar", 'start: "a', "field can't be kept: line 1, column 10: lexer error."),
        ("grammar", "root ::= foo", "field can't be kept: Rule 'foo' not found."),
        ("grammar", "start: start", "Nothing satisfies field."),
        # Sixty characters that took all of the memory.
        ("grammar", 'start: %json {"type":"array","maxItems":1000000000}',
         "field can't be kept: %json can't be used here."),
        ("grammar", '%llguidance {"no_forcing": true}\nstart: "a"',
         "field can't be kept: %llguidance can't be used here."),
        ("grammar", "x" * 65537, "field has more than 65536 characters."),
        ("structural_tag", "{", "field is no JSON."),
        ("structural_tag", "[]", "field needs `structures`, an array, and `triggers`, an array of strings."),
        ("structural_tag", '{"format": {"type": "any_text"}}',
         "field is kept as `structures` and `triggers`, and not as `format`."),
        ("structural_tag", json.dumps({**TAG, "triggers": ["<call"]}),
         "'<function=go>' of field begins with none of its triggers."),
        ("structural_tag", json.dumps({**TAG, "triggers": ["<f>"]}),
         "The trigger '<f>' of field must be text without its last '>'."),
        ("structural_tag", json.dumps({**TAG, "structures": [{"begin": "<function="}]}),
         "Each structure of field needs `begin`, `schema` and `end`."),
        ("structural_tag", json.dumps({**TAG, "structures": [WRONG]}),
         "The JSON Schema: `not` can't be kept by a grammar; leave it out."),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_in_words_for_the_client(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        text_form.fields(asked(kind, value), "field")
    assert (refused.value.message, refused.value.param) == (message, "field")
