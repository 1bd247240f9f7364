"""From what a client sent to a typed request: pydantic's findings in the OpenAI API's words."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from server.errors import InvalidRequest


def _failing_fast(part: Any) -> Any:
    """A copy of pydantic's core schema, each of its arrays and objects with `fail_fast`.

    Above Body, whose own class statement calls it.
    """
    if isinstance(part, list):
        return [_failing_fast(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    copy = {name: _failing_fast(inner) for name, inner in part.items()}
    if copy.get("type") in ("list", "tuple", "set", "frozenset", "dict"):
        copy["fail_fast"] = True
    return copy


class FailingFast:
    """In the `Annotated` of a type outside a Body: the first bad element of an array ends its validation."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = _failing_fast(handler(source))
        return schema


B = TypeVar("B", bound="Body")


class Body(BaseModel):
    """What clients send, as typed fields. The models within a Body are Bodies themselves.

    The first bad element of an array or object ends its validation. As pydantic does it otherwise, a body of five
    million bad elements would be five million findings: minutes and gigabytes.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = _failing_fast(handler(source))
        return schema


LONGEST_PARAM = 300
"""Characters of a field's path in a refusal. Some of it may be the client's own keys, of any length."""

_KINDS = {
    "string": "a string",
    "int": "an integer",
    "float": "a number",
    "decimal": "a number",
    "bool": "a boolean",
    "list": "an array",
    "tuple": "an array",
    "set": "an array",
    "frozen_set": "an array",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "dataclass": "an object",
    "none_required": "null",
}


def validate(schema: type[B], data: Mapping[str, Any]) -> B:
    """`data` as `schema`. Top-level nulls count as absent, as clients send them for "not set".

    Raises InvalidRequest whose param is the field's path, such as `messages[0].content`, and whose code is
    missing_required_parameter, invalid_type or invalid_value.
    """
    present = {name: value for name, value in data.items() if value is not None} if None in data.values() else data
    try:
        return schema.model_validate(present)
    except ValidationError as error:
        raise _refused(error, present) from None


def _refused(error: ValidationError, data: Mapping[str, Any]) -> InvalidRequest:
    """The deepest finding: of a union's branches, it is the one that the client meant."""
    findings = [
        (_path(detail["loc"], data, missing=detail["type"] == "missing"), detail)
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    path, detail = max(findings, key=lambda finding: len(finding[0]))
    param = _dotted(path)[:LONGEST_PARAM]
    if detail["type"] == "missing":
        return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    kinds = [kind for at, other in findings if at == path and (kind := _kind(other["type"]))]
    if _kind(detail["type"]):
        wanted = " or ".join(dict.fromkeys(kinds))
        # A finding about a key is at the key's own value; JSON's keys are strings.
        got = "a string" if detail["loc"][-1] == "[key]" else _kind_of(_at(path, data))
        message = f"Invalid type for '{param}': expected {wanted}, but got {got} instead."
        return InvalidRequest(message, param=param, code="invalid_type")
    reason = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return InvalidRequest(f"Invalid value for '{param}': {reason.rstrip('.')}.", param=param or None)


def _path(loc: tuple[int | str, ...], data: Any, *, missing: bool) -> tuple[int | str, ...]:
    """`loc` without the names of pydantic's own making (union branches, validators), by walking the data."""
    path: list[int | str] = []
    for place, step in enumerate(loc):
        if _holds(data, step):
            data = data[step]
        elif not (missing and place == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def _holds(data: Any, step: int | str) -> bool:
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and step < len(data)


def _at(path: tuple[int | str, ...], data: Any) -> Any:
    for step in path:
        data = data[step]
    return data


def _dotted(path: tuple[int | str, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _kind(finding: str) -> str | None:
    """What a type finding expected: `string_type` → a string. None for findings about values."""
    for ending in ("_type", "_parsing", "_from_float"):
        if finding.endswith(ending):
            return _KINDS.get(finding.removesuffix(ending), "another type")
    return _KINDS.get(finding)


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
