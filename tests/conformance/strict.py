"""An answer's JSON against the types that openai-python declares, more strictly than the SDK itself reads it.

The SDK builds its objects without validation: a missing field becomes None, a string stays a string where a number
is declared, and the user's program fails later. Here every required field must be there, and every value must be of the
declared type and among the declared words.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pydantic
from pydantic import TypeAdapter

from tests.conformance.case import Failed

MOST_SHOWN = 3
"""Errors named in one message."""

ADDITIONS: Mapping[str, str] = {
    # This server's, each described in its docs.
    "usage.credits": "sagehold",
    "quality": "sagehold",
    "seconds": "sagehold",
    "usage.quality": "sagehold",
    "usage.passes": "sagehold",
    "credits": "sagehold",
    "price": "sagehold",
    "description": "sagehold",
    "tasks": "sagehold",
    "capabilities": "sagehold",
    "quality_modes": "sagehold",
    "models": "sagehold",
    "image": "sagehold",
    "input_modalities": "sagehold",
    "state": "sagehold",
    "usage.images": "sagehold",
    "usage.seconds": "sagehold",
    "index": "sagehold",
    "seed": "sagehold",
    "score": "sagehold",
    "method": "sagehold",
    "data[].seed": "sagehold",
    "data[].score": "sagehold",
    # Of batches
    "paused": "sagehold",
    # Of responses: what Open Responses asks for, and openai-python's type leaves out
    "presence_penalty": "Open Responses",
    "frequency_penalty": "Open Responses",
    "store": "Open Responses",
    "response.presence_penalty": "Open Responses",
    "response.frequency_penalty": "Open Responses",
    "response.store": "Open Responses",
    "logprobs[].bytes": "Open Responses",
    "logprobs[].top_logprobs[].bytes": "Open Responses",
    "name": "OpenAI",  # of response.function_call_arguments.done, as its service sends it
    "response.usage.quality": "sagehold",
    "response.usage.credits": "sagehold",
    # Of transcripts: the OpenAI API's own, which its SDK's types leave out; and ours, of translations
    "task": "OpenAI",
    "usage": "sagehold",
    # DeepSeek's, and vLLM's newer name for the same
    "choices[].message.reasoning_content": "DeepSeek",
    "choices[].delta.reasoning_content": "DeepSeek",
    "choices[].message.reasoning": "vLLM",
    "choices[].delta.reasoning": "vLLM",
    # vLLM's, as its own server sends them
    "id": "vLLM",
    "created": "vLLM",
    "root": "vLLM",
    "parent": "vLLM",
    "max_model_len": "vLLM",
    "permission": "vLLM",
    "prompt_logprobs": "vLLM",
    "prompt_token_ids": "vLLM",
    "prompt_text": "vLLM",
    "kv_transfer_params": "vLLM",
    "service_tier": "vLLM",
    "ec_transfer_params": "vLLM",
    "metrics": "vLLM",
    "choices[].stop_reason": "vLLM",
    "choices[].token_ids": "vLLM",
    "choices[].routed_experts": "vLLM",
    "choices[].prompt_logprobs": "vLLM",
    "choices[].prompt_token_ids": "vLLM",
    "usage.completion_tokens": "vLLM",
    "usage.prompt_tokens_details": "vLLM",
}
"""Fields beyond the SDK's types that an answer may have, by their path, and whose they are. A field in neither is a
fault: a client that reads it would read something that nobody has described."""


@cache
def _adapter(declared: Any) -> TypeAdapter[Any]:
    return TypeAdapter(declared)


def strictly(declared: Any, raw: bytes | str, what: str = "the answer") -> Any:
    """`raw` as the declared type. Raises Failed, naming the fields that are missing, null or of another type."""
    try:
        return _adapter(declared).validate_json(raw, strict=True)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        shown = "; ".join(f"{path(one['loc'])}: {one['msg']}" for one in found[:MOST_SHOWN])
        more = f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        raise Failed(f"{what} is not as the SDK declares it: {shown}{more}") from None


def path(location: tuple[str | int, ...]) -> str:
    """choices[0].message, without the names of a union's members."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".") or "the whole"


def unlisted(extras: set[str]) -> set[str]:
    """Those that are not among the additions; what lies in an added object belongs to it."""
    return {name for name in extras if name not in ADDITIONS}


def undeclared(value: Any) -> set[str]:
    """Paths of the fields in a validated answer that the SDK does not declare; places in lists are `[]`."""
    return set(_undeclared(value, ""))


def _undeclared(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            yield f"{at}.{name}".lstrip(".")
        for name in type(value).model_fields:
            yield from _undeclared(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _undeclared(one, f"{at}[]")
