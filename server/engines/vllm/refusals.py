"""What vLLM finds wrong with a request, in words for its client."""

from typing import Any

from server.errors import ContextLengthExceeded, InvalidRequest

PROMPT = ("input_text", "input_tokens")
"""What vLLM's errors name as their parameter where the prompt is longer than the context (vllm/renderers/params.py,
the same from 0.15 to 0.32; their words changed in between)."""


def of_request(error: Exception, param: str | None = None) -> InvalidRequest:
    """error: one of `releases.REFUSALS`. param: the field that is wrong if vLLM names none."""
    message, named = str(error.args[0]), getattr(error, "parameter", None)
    if named in PROMPT:
        return ContextLengthExceeded(message, param="messages")
    return InvalidRequest(message, param=named or param)


def of_grammar(error: Exception, schema: Any, param: str | None) -> InvalidRequest:
    """error: as above, of a request whose answer must obey `schema`, a JSON Schema (its text, or parsed) or None."""
    if schema is not None and _one_of_is_wrong(schema):
        # llguidance advises to set an option of its own, which clients can't do.
        return InvalidRequest(
            "oneOf is supported where its alternatives can't overlap; use anyOf instead.", param=param
        )
    return of_request(error, param)


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
