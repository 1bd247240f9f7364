"""What vLLM finds wrong with a request, in words for its client."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from server.errors import ContextLengthExceeded, InvalidRequest

PROMPT = ("input_text", "input_tokens")
"""What vLLM's errors name as their parameter where the prompt is longer than the context (vllm/renderers/params.py,
the same from 0.15 to 0.32; their words changed in between)."""


INTERNALS = re.compile(
    r"\b(?:vllm|jinja2?|pydantic|torch|transformers|tokenizers|mistral_common|kwargs|self|NoneType|VLLM_\w+)\b"
    r"|\b\w+\(\)|\b[A-Z]\w*(?:Error|Exception|Params|Config)\b|\b(?:positional|keyword) arguments?\b"
    r"|\bobject at 0x|Traceback|(?:^|[\s'\"])/\w+/\w"
)
"""Of the names by which code knows itself. They mean nothing to a client, and are nobody else's business."""
LONGEST_WORDS = 1000
"""Characters of what vLLM says; it may say all of a request."""


def words(error: Exception) -> str:
    """What an exception of vLLM's, or of a template's, says to a client; empty for what is not for one."""
    said = str(error.args[0]) if error.args else ""
    return "" if len(said) > LONGEST_WORDS or INTERNALS.search(said) else said


def of_request(error: Exception, param: str | None = None) -> InvalidRequest:
    """error: one of `releases.REFUSALS`. param: the field that is wrong if vLLM names none."""
    message, named = words(error) or "The model can't take this request.", getattr(error, "parameter", None)
    if named in PROMPT:
        return ContextLengthExceeded(message, param="messages")
    return InvalidRequest(message, param=named or param)


def of_grammar(error: Exception, schema: Any, param: str | None) -> InvalidRequest:
    """error: as above, of a request whose answer must obey `schema`, a JSON Schema (its text, or parsed) or None."""
    if schema is None:
        return of_request(error, param)
    if _one_of_is_wrong(schema):
        # llguidance advises to set an option of its own, which clients can't do.
        return InvalidRequest(
            "oneOf is supported where its alternatives can't overlap; use anyOf instead.", param=param
        )
    return InvalidRequest(_words(_finding(schema), schema), param=param)


def _words(finding: str, schema: Any) -> str:
    """What llguidance finds wrong with a schema, without what it shows of its own state.

    Its words decide on the message only: whatever they are, the request is refused.
    """
    if found := re.search(r"Unsatisfiable schema: (?:((?:min|max|exclusive|required )[^\n]{1,200})|.*)", finding):
        return f"Nothing satisfies this JSON Schema: {found[1] or 'it contradicts itself'}."
    if found := re.search(r"^error: (.{1,200})$", finding, re.MULTILINE):
        patterns = list(_patterns(json.loads(schema) if isinstance(schema, str) else schema))
        wrong = next((f" '{one[:100]}'" for one in patterns if found[0] in _finding_of_pattern(one)), "")
        return f"The pattern{wrong} of this JSON Schema can't be kept: {found[1]}."
    if "not disjoint" in finding:
        return "The patterns of patternProperties in this JSON Schema overlap; give each property one of them."
    return "No grammar can be made of this JSON Schema."


def _finding(schema: Any) -> str:
    from llguidance import LLMatcher

    try:
        return str(LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema)))
    except ValueError:  # the schema is no JSON object
        return ""


def _finding_of_pattern(pattern: str) -> str:
    from llguidance import LLMatcher

    return str(LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema({"type": "string", "pattern": pattern})))


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for keyword, inner in schema.items():
            if keyword == "patternProperties" and isinstance(inner, Mapping):
                yield from inner
            yield from _patterns(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _patterns(inner)


def _one_of_is_wrong(schema: Any) -> bool:
    """Whether a `oneOf` is what llguidance finds wrong: it then finds nothing, or something else, if `oneOf` may count
    as `anyOf`."""
    from llguidance import LLMatcher

    try:
        strict = LLMatcher.grammar_from_json_schema(schema)
        loose = LLMatcher.grammar_from_json_schema(schema, overrides={"coerce_one_of": True})
    except ValueError:  # the schema is no JSON object
        return False
    return LLMatcher.validate_grammar(strict) != LLMatcher.validate_grammar(loose)
