"""The form that an answer must have, in each of the ways in which clients ask for one.

`response_format` is OpenAI's (its bare `schema` is llama.cpp's, `structural_tag` vLLM's), `structured_outputs` is
vLLM's, and `guided_*` are what vLLM called the same before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from server.api.openai.weight import heavier
from server.api.validation import Body
from server.core import Constraint
from server.errors import InvalidRequest

JSON_OBJECT: Mapping[str, Any] = {"type": "object"}
BACKENDS = ("auto", "guidance")
"""Names of vLLM's that what decides here answers to."""

LONGEST = 512 * 1024
"""What a form may weigh, as `heavier` weighs; a schema in a text, in characters. What a model takes is less."""

Kind = Literal["json", "regex", "choice", "grammar", "structural_tag"]
Asked = tuple[str, Kind, Any]
"""A form that a request asks for: the field, its kind, its value."""


class JsonSchema(Body):
    name: str = "answer"
    schema_: dict[str, Any] = Field(default_factory=lambda: dict(JSON_OBJECT), alias="schema")
    strict: bool | None = None


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema", "structural_tag"]
    json_schema: JsonSchema | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    structures: list[dict[str, Any]] | None = None
    triggers: list[str] | None = None
    format: Any = None


class StructuredOutputs(Body):
    json_: dict[str, Any] | str | None = Field(None, alias="json")
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: dict[str, Any] | str | None = None
    whitespace_pattern: str | None = None
    # What either value asks for holds here: no free whitespace, and nothing that a schema does not declare.
    disable_any_whitespace: bool | None = None
    disable_additional_properties: bool | None = None


class FormRequest(Body):
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: dict[str, Any] | str | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    guided_json_object: bool | None = None
    structural_tag: dict[str, Any] | str | None = None
    guided_decoding_backend: str | None = None
    guided_whitespace_pattern: str | None = None

    def form(self) -> dict[str, Any]:
        """The fields of `server.core.Sampling` that say it. Raises InvalidRequest."""
        return form_of(self._asked()) if self.model_fields_set & FORMS else {}

    def _asked(self) -> list[Asked]:
        """The forms that the request asks for. Raises InvalidRequest."""
        if self.guided_whitespace_pattern is not None:
            raise _whitespace("guided_whitespace_pattern")
        name = (self.guided_decoding_backend or "auto").partition(":")[0]
        if name not in BACKENDS:
            raise InvalidRequest(
                f"guided_decoding_backend can't be '{name[:40]}' here; leave it out, or send 'guidance'.",
                param="guided_decoding_backend",
                code="unsupported_value",
            )
        asked = [*self._response_format(), *self._structured_outputs()]
        older: tuple[Asked, ...] = (
            ("guided_json", "json", self.guided_json),
            ("guided_regex", "regex", self.guided_regex),
            ("guided_choice", "choice", self.guided_choice),
            ("guided_grammar", "grammar", self.guided_grammar),
            ("guided_json_object", "json", JSON_OBJECT if self.guided_json_object else None),
            ("structural_tag", "structural_tag", self.structural_tag),
        )
        return asked + [(field, kind, value) for field, kind, value in older if value is not None]

    def _response_format(self) -> Iterator[Asked]:
        asked = self.response_format
        if asked is None or asked.type == "text":
            return
        if asked.type == "structural_tag":
            tag = {"structures": asked.structures, "triggers": asked.triggers, "format": asked.format}
            given = {name: value for name, value in tag.items() if value is not None}
            yield "response_format", "structural_tag", {"type": "structural_tag", **given}
        elif asked.type == "json_object":
            yield "response_format", "json", JSON_OBJECT if asked.schema_ is None else asked.schema_
        elif asked.json_schema is None and asked.schema_ is None:
            raise InvalidRequest(
                "Missing required parameter: 'response_format.json_schema'.",
                param="response_format.json_schema",
                code="missing_required_parameter",
            )
        else:
            yield "response_format", "json", asked.json_schema.schema_ if asked.json_schema else asked.schema_

    def _structured_outputs(self) -> Iterator[Asked]:
        asked = self.structured_outputs
        if asked is None:
            return
        if asked.whitespace_pattern is not None:
            raise _whitespace("structured_outputs.whitespace_pattern")
        forms: tuple[Asked, ...] = (
            ("json", "json", asked.json_),
            ("regex", "regex", asked.regex),
            ("choice", "choice", asked.choice),
            ("grammar", "grammar", asked.grammar),
            ("json_object", "json", JSON_OBJECT if asked.json_object else None),
            ("structural_tag", "structural_tag", asked.structural_tag),
        )
        given = [(f"structured_outputs.{name}", kind, value) for name, kind, value in forms if value is not None]
        if not given:
            raise InvalidRequest(
                "structured_outputs needs one of json, regex, choice, grammar, json_object and structural_tag.",
                param="structured_outputs",
            )
        yield from given


FORMS = set(FormRequest.model_fields)


def form_of(asked: Sequence[Asked]) -> dict[str, Any]:
    """The fields of `server.core.Sampling` that say the one form which is asked for. Raises InvalidRequest."""
    if not asked:
        return {}
    if len(asked) > 1:
        (first, _, _), (second, _, _) = asked[:2]
        raise InvalidRequest(f"An answer has one form; send {first} or {second}.", param=second)
    field, kind, value = asked[0]
    if heavier(value, LONGEST):
        raise InvalidRequest(f"{field} is too long.", param=field)
    if kind == "json":
        return {"output_schema": _schema(field, value), "form_field": field}
    if kind == "choice":
        value = tuple(value)
    elif kind == "structural_tag" and not isinstance(value, str):
        value = json.dumps(value)
    if not value:
        raise InvalidRequest(f"{field} is empty.", param=field)
    return {"constraint": Constraint(kind, value), "form_field": field}


def _schema(field: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidRequest(f"{field} is no JSON.", param=field) from None
        if not isinstance(value, dict):
            raise InvalidRequest(f"{field} is no JSON Schema: it must be an object.", param=field)
    found: Mapping[str, Any] = value
    return found


def _whitespace(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"{field} can't be set: an answer here has no whitespace that its form leaves free.",
        param=field,
        code="unsupported_value",
    )
