"""Forms other than a JSON Schema: a pattern, choices, a grammar, tags. llguidance judges them before vLLM has them."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from server.core import Constraint
from server.engines.vllm import schema_form, schema_limits
from server.errors import InvalidRequest

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

LONGEST = {"regex": 16 * 1024, "choice": 64 * 1024, "grammar": 64 * 1024, "structural_tag": schema_limits.LONGEST}
"""Characters of each, of all choices together."""
MOST_CHOICES = 4096
MOST_TAGS = 128
DIRECTIVES = re.compile(r"%\s*(json|lark|llguidance|regex)\b")
"""Of llguidance's own Lark: a schema of any size within a grammar, and options of its reader."""


def fields(constraint: Constraint, param: str) -> dict[str, Any]:
    """The part of vLLM's request that asks for it. Raises InvalidRequest, with `param`, for what can't be kept."""
    value = constraint.value
    length = len(value) if isinstance(value, str) else sum(map(len, value))
    if length > LONGEST[constraint.kind]:
        raise InvalidRequest(f"{param} has more than {LONGEST[constraint.kind]} characters.", param=param)
    if constraint.kind == "regex":
        schema_limits.check_pattern(str(value), param)
    elif constraint.kind == "choice":
        if len(value) > MOST_CHOICES:
            raise InvalidRequest(f"{param} has more than {MOST_CHOICES} choices.", param=param)
    elif constraint.kind == "structural_tag":
        constraint = Constraint(constraint.kind, json.dumps(_tags(str(value), param)))
    begun = matcher(constraint, param)
    begun.compute_bitmask()
    if begun.is_error() or (begun.is_stopped() and not begun.is_accepting()):
        raise InvalidRequest(f"Nothing satisfies {param}.", param=param)
    value = constraint.value
    return {"structured_outputs": {constraint.kind: value if isinstance(value, str) else list(value)}}


def matcher(constraint: Constraint, param: str) -> "LLMatcher":
    """What follows a text byte by byte. Raises InvalidRequest for what llguidance can't read."""
    from llguidance import LLMatcher

    try:
        grammar = _grammar(constraint)
    except ValueError as error:
        # Of its reader of GBNF, whose words follow its own introduction.
        raise InvalidRequest(_unread(param, str(error).rpartition("Lark: ")[2]), param=param) from None
    made = LLMatcher(_bytes(), grammar, log_level=0)
    if made.is_error():
        raise InvalidRequest(_unread(param, made.get_error()), param=param)
    return made


def keeps(constraint: Constraint, text: str, param: str) -> bool:
    """Whether the whole of `text` has the form."""
    if constraint.kind == "choice":
        return text in constraint.value
    if constraint.kind == "structural_tag":
        constraint = Constraint(constraint.kind, json.dumps(_tags(str(constraint.value), param)))
    follower, told = matcher(constraint, param), text.encode()
    return bool(follower.try_consume_tokens(list(told)) == len(told) and follower.is_accepting())


def _grammar(constraint: Constraint) -> str:
    from llguidance import grammar_from
    from vllm.v1.structured_output.backend_guidance import serialize_guidance_grammar
    from vllm.v1.structured_output.backend_types import StructuredOutputOptions

    match constraint.kind:
        case "regex":
            return grammar_from("regex", str(constraint.value))
        case "choice":
            return grammar_from("choice", json.dumps(constraint.value))
        case "grammar":
            text = str(constraint.value)
            if found := DIRECTIVES.search(text):
                raise ValueError(f"%{found[1]} can't be used here")
            return grammar_from("grammar", text)
    return str(serialize_guidance_grammar(StructuredOutputOptions.STRUCTURAL_TAG, str(constraint.value), True))


@cache
def _bytes() -> "LLTokenizer":
    from llguidance import LLTokenizer

    return LLTokenizer("byte")


def _tags(text: str, param: str) -> Mapping[str, Any]:
    """A structural tag as vLLM reads it with this backend, its schemas as llguidance is given them."""
    try:
        tag = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{param} is no JSON.", param=param) from None
    tag = tag if isinstance(tag, dict) else {}
    if "format" in tag:
        raise InvalidRequest(f"{param} is kept as `structures` and `triggers`, and not as `format`.", param=param)
    triggers, structures = _texts(tag.get("triggers")), tag.get("structures")
    if not (triggers and isinstance(structures, list) and structures):
        raise InvalidRequest(f"{param} needs `structures`, an array, and `triggers`, an array of strings.", param=param)
    if len(structures) > MOST_TAGS:
        raise InvalidRequest(f"{param} has more than {MOST_TAGS} structures.", param=param)
    if special := next((one for one in triggers if one.startswith("<") and one.endswith(">")), None):
        # llguidance would look for a control token of that name; "<tool_call" is text.
        raise InvalidRequest(f"The trigger '{special[:50]}' of {param} must be text without its last '>'.", param=param)
    written = [_tag(structure, triggers, param) for structure in structures]
    return {"type": "structural_tag", "structures": written, "triggers": triggers}


def _tag(structure: Any, triggers: list[str], param: str) -> dict[str, Any]:
    if not isinstance(structure, dict) or not isinstance(structure.get("schema"), dict):
        raise InvalidRequest(f"Each structure of {param} needs `begin`, `schema` and `end`.", param=param)
    begin, schema, end = structure.get("begin"), structure["schema"], structure.get("end")
    if not isinstance(begin, str) or not isinstance(end, str):
        raise InvalidRequest(f"Each structure of {param} needs `begin`, `schema` and `end`.", param=param)
    if not any(begin.startswith(trigger) for trigger in triggers):
        raise InvalidRequest(f"'{begin[:50]}' of {param} begins with none of its triggers.", param=param)
    schema_limits.check(schema, param)
    return {"begin": begin, "schema": schema_form.form_of(schema, param).grammar, "end": end}


def _texts(value: Any) -> list[str]:
    """`value`, if it is an array of texts; else an empty one."""
    return value if isinstance(value, list) and all(isinstance(one, str) and one for one in value) else []


def _unread(param: str, error: str) -> str:
    """What llguidance finds wrong, without what it shows of its state."""
    found = re.search(r"^error: (.{1,200})$", error, re.MULTILINE)
    reason = found[1] if found else error.split("\n", 1)[0][:200].rstrip(".")
    placed = re.match(r"(?:at )?(\d+)\((\d+)\): (.+)", reason)
    if placed:
        reason = f"line {placed[1]}, column {placed[2]}: {placed[3]}"
    return f"{param} can't be kept: {reason}." if reason else f"{param} can't be kept."
