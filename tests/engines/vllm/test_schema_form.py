"""What a grammar made of a client's JSON Schema lets through: walked byte by byte, without a model."""

import json
from typing import Any

import pytest

from server.engines.vllm import schema_depth, schema_limits
from server.engines.vllm.schema_form import form_of
from server.errors import InvalidRequest

llguidance = pytest.importorskip("llguidance")

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
A, B = {"type": "object", "properties": {"a": STRING}}, {"type": "object", "properties": {"b": INTEGER}}
TREE = {"type": "object", "properties": {"v": INTEGER, "kids": {"type": "array", "items": {"$ref": "#"}}}}
CAT = {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": INTEGER}, "required": ["kind"]}
DOG = {"type": "object", "properties": {"kind": {"enum": ["dog"]}, "barks": {"type": "boolean"}}, "required": ["kind"]}
X = {"properties": {"x": INTEGER}, "required": ["x"]}
CHOSEN = {"type": "object", "properties": {"k": INTEGER}, "anyOf": [X, B]}
ENDLESS = {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}}
HALF = {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}, "b": INTEGER}, "$defs": ENDLESS}


def begun(schema: Any, text: str) -> tuple[str, bool]:
    """How much of `text` the grammar takes, and whether the answer may end there."""
    written = form_of(schema, "response_format").grammar
    grammar = llguidance.LLMatcher.grammar_from_json_schema(
        json.dumps(written), defaults={"whitespace_flexible": False}
    )
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    taken = matcher.try_consume_tokens(list(text.encode()))
    return text.encode()[:taken].decode(), matcher.is_accepting()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (A, '{"a":"x"}'),
        (A, "{}"),
        (TREE, '{"v":1,"kids":[{"v":2,"kids":[]}]}'),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": {"B": B}}, '{"a":{"b":1}}'),
        ({"allOf": [A, {"$ref": "#/$defs/B"}], "$defs": {"B": B}}, '{"a":"x","b":1}'),
        ({"$ref": "#/$defs/B", "properties": {"c": INTEGER}, "$defs": {"B": B}}, '{"b":1,"c":2}'),
        (CHOSEN, '{"k":1,"x":1}'),
        (CHOSEN, '{"k":1,"b":1}'),
        ({**A, "additionalProperties": True}, '{"z":[1]}'),
        ({**A, "additionalProperties": INTEGER}, '{"z":1}'),
        ({"allOf": [A, {**B, "additionalProperties": True}]}, '{"z":1}'),
        ({"type": "object"}, '{"z":1}'),
        ({"type": "object", "properties": {"o": {"type": "object"}}}, '{"o":{"z":1}}'),
        ({**A, "required": ["z"]}, '{"z":[true]}'),
        ({**A, "patternProperties": {"^x-": INTEGER}}, '{"a":"b","x-1":1}'),
        ({**A, "unevaluatedProperties": False, "allOf": [B]}, '{"a":"x","b":1}'),
        ({**A, "unevaluatedProperties": INTEGER}, '{"z":1}'),
        ({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": INTEGER}, '{"b":1}'),
        ({"type": "object", "propertyNames": {"pattern": "^x"}, "additionalProperties": INTEGER}, '{"x":1}'),
        # A tagged union, as pydantic writes it: llguidance alone refuses it.
        ({"oneOf": [{"$ref": "#/$defs/c"}, {"$ref": "#/$defs/d"}], "$defs": {"c": CAT, "d": DOG}},
         '{"kind":"dog","barks":true}'),
        ({"type": "object", "anyOf": [A, B], "oneOf": [CAT, DOG]}, '{"a":"x","kind":"cat","lives":9}'),
        # older drafts
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [STRING, INTEGER], "additionalItems": False},
         '["a",1]'),
        ({"$schema": "https://example.com/mine", "type": "integer", "minimum": 1, "exclusiveMinimum": True}, "2"),
        ({"definitions": {"n": INTEGER}, "$ref": "#/definitions/n"}, "1"),
        ({"$id": "https://example.com/a", "$ref": "a#n", "$defs": {"x": {"$anchor": "n", "type": "integer"}}}, "1"),
        ({"components": {"schemas": {"n": INTEGER}}, "$ref": "#/components/schemas/n"}, "1"),
        # what says nothing of the answer
        ({"title": "T", "description": "d", "default": 1, "examples": [1], "$comment": "c", "deprecated": True,
          "readOnly": True, "contentMediaType": "x", "nullable": True, "x-mine": 1, "type": "string",
          "format": "phone"},
         '"a"'),
        # What can't end is forbidden, and the rest is free.
        (HALF, '{"b":1}'),
        ({"anyOf": [{"$ref": "#"}, STRING]}, '"a"'),
    ],
)  # fmt: skip
def test_what_a_schema_admits_may_be_written(schema: Any, text: str) -> None:
    assert begun(schema, text) == (text, True)


@pytest.mark.parametrize(
    ("schema", "text", "taken"),
    [
        # An undeclared key can't be begun, at any depth.
        (A, '{"z', '{"'),
        ({"properties": {"a": STRING}}, '{"z', '{"'),
        ({"type": "object", "properties": {}}, '{"z', "{"),
        ({"type": "object", "unevaluatedProperties": False}, '{"z', "{"),
        (TREE, '{"v":1,"kids":[{"z', '{"v":1,"kids":[{"'),
        ({"type": "array", "items": A}, '[{"z', '[{"'),
        ({"type": "array", "prefixItems": [A]}, '[{"z', '[{"'),
        ({"type": "object", "properties": {"o": {"anyOf": [A, {"type": "null"}]}}}, '{"o":{"z', '{"o":{"'),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": {"B": B}}, '{"a":{"z', '{"a":{"'),
        ({**A, "additionalProperties": B}, '{"z":{"y', '{"z":{"'),
        ({"type": "object", "patternProperties": {"^x": A}}, '{"x":{"z', '{"x":{"'),
        ({"allOf": [A, {"$ref": "#/$defs/B"}], "$defs": {"B": B}}, '{"z', '{"'),
        ({"$ref": "#/$defs/B", "properties": {"c": INTEGER}, "$defs": {"B": B}}, '{"z', '{"'),
        (CHOSEN, '{"z', '{"'),
        # What one alternative declares is none of the others'.
        (CHOSEN, '{"k":1,"x":1,"b":1}', '{"k":1,"x":1'),
        ({"oneOf": [{"$ref": "#/$defs/c"}, {"$ref": "#/$defs/d"}], "$defs": {"c": CAT, "d": DOG}},
         '{"kind":"dog","lives":1}', '{"kind":"dog","'),
        ({"type": "object", "anyOf": [A, B], "oneOf": [CAT, DOG]}, '{"z', '{"'),
        ({**A, "patternProperties": {"^x-": INTEGER}}, '{"y', '{"'),
        ({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": INTEGER}, '{"z', '{"'),
        ({"type": "object", "propertyNames": {"$ref": "#/$defs/e"}, "$defs": {"e": {"enum": ["a"]}}}, '{"z', '{"'),
        ({**A, "unevaluatedProperties": False, "allOf": [B]}, '{"z', '{"'),
        # `true` is an alternative like others
        ({**A, "anyOf": [True, B]}, '{"z', '{"'),
        ({**A, "anyOf": [{}, B]}, '{"z', '{"'),
        ({"type": "object", "unevaluatedProperties": False, "anyOf": [True, B]}, '{"z', '{"'),
        # The client's own word is taken as JSON Schema has it: it sees nothing that is declared around it.
        ({**A, "anyOf": [{**B, "unevaluatedProperties": False}]}, '{"a', '{"'),
        # nor what can't end
        (HALF, '{"a', '{"'),
        ({"type": "object", "properties": {"a": False, "b": STRING}}, '{"a', '{"'),
        ({"type": "object", "properties": {"a": {"not": {}}}}, '{"a', "{"),
        # x-guidance is llguidance's own, and would loosen the schema
        ({"x-guidance": {"whitespace_flexible": True}, **A}, '{ "a"', "{"),
        ({"x-guidance": {"lenient": True}, "type": "string", "format": "uuid"}, '"x', '"'),
    ],
)  # fmt: skip
def test_what_a_schema_does_not_admit_cannot_be_begun(schema: Any, text: str, taken: str) -> None:
    assert begun(schema, text)[0] == taken


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        # circles, and what has no end
        ({"$ref": "#"}, "circle"),
        ({"allOf": [{"$ref": "#"}]}, "circle"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "circle"),
        ({"anyOf": [{"$ref": "#"}]}, "comes to an end"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "comes to an end"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "comes to an end"),
        # what nothing satisfies
        ({"enum": []}, "Nothing satisfies it"),
        ({"not": {}}, "Nothing satisfies it"),
        ({"allOf": [False]}, "Nothing satisfies it"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "Nothing satisfies it"),
        ({**A, "required": ["z"], "additionalProperties": False}, "Nothing satisfies it"),
        ({**A, "required": ["z"], "unevaluatedProperties": False}, "Nothing satisfies it"),
        # what no grammar knows, by its name and place
        ({"not": STRING}, "^The JSON Schema: `not`"),
        ({"properties": {"a/b": {"if": {}, "then": {}}}}, "at /properties/a~1b: `if`"),
        ({"items": {"contains": INTEGER}}, "at /items: `contains`"),
        ({"dependentSchemas": {"a": {}}}, "`dependentSchemas`"),
        ({"prefixItems": [STRING], "unevaluatedItems": False}, "`unevaluatedItems`"),
        ({"$dynamicRef": "#x"}, r"`\$dynamicRef`"),
        ({"dependencies": {"a": B}}, "dependencies"),
        ({"propertyNames": {"maxLength": 3}}, "propertyNames"),
        ({"patternProperties": {"^z": {"uniqueItems": True}}}, "uniqueItems"),
        (
            {"unevaluatedProperties": False, "type": "object", "anyOf": [{**A, "required": ["z"]}]},
            "Nothing satisfies it",
        ),
        ({"propertyNames": {"enum": ["a"]}, "patternProperties": {"^z": {}}}, "propertyNames can't"),
        ({"allOf": [{**A, "unevaluatedProperties": False}, B]}, "unevaluatedProperties"),
        # references that lead nowhere
        ({"$ref": "https://example.com/x.json"}, "none is fetched"),
        ({"$ref": "#/$defs/x"}, "names no schema"),
        ({"$ref": "#x"}, "names no schema"),
        ({"$ref": 5}, "not a string"),
        ({"$ref": "http://[x/"}, "none is fetched"),
        # wrong values
        ({"type": "strin"}, "type is not one of"),
        ({"properties": {"a": {"type": "object", "required": True}}}, "at /properties/a: required"),
        ({"properties": [1]}, "properties is not an object"),
        ({"properties": {"a": 5}}, "A schema is"),
        ({"anyOf": []}, "anyOf is not"),
        ({"minLength": -1}, "minLength is not"),
        ({"minItems": float("inf")}, "minItems is not"),
        ({"minimum": "1"}, "minimum is not"),
        ({"pattern": 5}, "pattern is not"),
        ({"prefixItems": {}}, "prefixItems is not"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(schema: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        form_of(schema, "tools")
    assert refused.value.param == "tools"
    assert "Unimplemented" not in refused.value.message


def chain(length: int, step: Any) -> dict[str, Any]:
    defs = {f"d{n}": step({"$ref": f"#/$defs/d{n + 1}"}) for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{length}": STRING}}


DOUBLED: dict[str, Any] = {"$ref": "#/$defs/d0", "$defs": {"d40": STRING}}
for level in range(40):
    below = {"$ref": f"#/$defs/d{level + 1}"}
    branches = [{**below, "properties": {f"{name}{level}": STRING}} for name in "xy"]
    DOUBLED["$defs"][f"d{level}"] = {"anyOf": branches}


@pytest.mark.parametrize(
    "schema",
    [
        # This ended the whole process: llguidance goes into references by recursion.
        chain(2000, lambda inner: {"type": "array", "items": inner}),
        chain(900, lambda inner: {"type": "object", "properties": {"a": inner}}),
        chain(3000, lambda inner: {"allOf": [inner]}),
        # All sets of the properties that the levels declare are alternatives.
        DOUBLED,
        {"$defs": {"e": {"enum": ["x" * 100_000]}}, "anyOf": [{"allOf": [{"$ref": "#/$defs/e"}]} for _ in range(3000)]},
        {"$defs": {"e": {"maxItems": 9000}}, "anyOf": [{"allOf": [{"$ref": "#/$defs/e"}]} for _ in range(3000)]},
        {"properties": {f"p{n}": {} for n in range(900)}, "anyOf": [{"required": [f"p{n}"]} for n in range(900)]},
    ],
)  # fmt: skip
def test_small_schemas_that_grow_are_refused(schema: Any) -> None:
    schema_limits.check(schema, "response_format")
    with pytest.raises(InvalidRequest):
        form_of(schema, "response_format")


def test_chains_of_references_as_long_as_allowed_are_read() -> None:
    schema = chain(schema_depth.DEEPEST // 2 - 1, lambda inner: {"type": "array", "items": inner})
    assert begun(schema, "[[") == ("[[", False)
    assert begun(chain(3000, lambda inner: inner), '"a"') == ('"a"', True)


def test_alternatives_beside_properties_are_not_multiplied() -> None:
    """Sixteen of these within each other took llguidance half a minute."""
    schema: Any = STRING
    for _ in range(16):
        schema = {"type": "object", "properties": {"a": schema}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    form = form_of(schema, "response_format").grammar
    assert max(json.dumps(part).count('"properties"') for part in form["$defs"].values()) <= 3


@pytest.mark.parametrize(
    ("schema", "checked"),
    [
        ({"uniqueItems": True}, {"uniqueItems": True}),
        ({"uniqueItems": False}, None),
        ({"dependentRequired": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ({"dependencies": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ({**A, "minProperties": 2}, {**A, "minProperties": 2, "additionalProperties": False}),
        # what llguidance counts itself
        ({**A, "minProperties": 1}, None),
        ({"type": "object", "minProperties": 2, "maxProperties": 3}, None),
        # Patterns are the grammar's: of Python's, some take time without end.
        ({"uniqueItems": True, "items": {"pattern": "(a+)+b"}}, {"uniqueItems": True, "items": {}}),
    ],
)
def test_what_no_grammar_can_count_is_checked_at_the_end(schema: Any, checked: Any) -> None:
    form = form_of(schema, "response_format")
    assert form.check == checked
    assert not {"uniqueItems", "dependentRequired", "dependencies"} & form.grammar.keys()


def test_properties_keep_the_order_of_the_text() -> None:
    schema = {"type": "object", "properties": {"z": INTEGER, "a": INTEGER}, "required": ["y"], "allOf": [B]}
    text = '{"z":1,"a":1,"b":1,"y":1}'
    assert begun(schema, text) == (text, True)
    assert begun(schema, '{"a":1,"z":1}')[0] == '{"a":1,"'


def test_schemas_with_one_address_in_two_functions_do_not_mix() -> None:
    tools = [{"$id": "https://example.com/f", "$defs": {"n": one}, "$ref": "#/$defs/n"} for one in (STRING, INTEGER)]
    schema = {"type": "array", "prefixItems": tools, "items": False}
    assert begun(schema, '["a",1]') == ('["a",1]', True)
