"""The response object, at every point of its life.

Shape: the OpenAI API's `response`, with the fields that the Open Responses specification demands of each.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal

from server.api.openai.chat_tools import ToolChoice
from server.api.openai.extras import extras_of
from server.api.openai.responses.output import Output
from server.api.openai.responses.request import JsonSchemaFormat, ResponsesRequest
from server.api.openai.responses.turn import Turn
from server.core import ChatJob, Usage
from server.errors import RateLimited, SageholdError
from server.pipeline.run import Run

State = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class ResponseObject:
    """run: None while the response waits for its model; what the model's config says of sampling is not known then."""

    def __init__(self, turn: Turn, run: Run | None = None) -> None:
        self._turn = turn
        self._run = run
        self._said = _said(turn, run)

    def pending(self, status: State = "in_progress") -> dict[str, Any]:
        """Before there is any output."""
        return self._as_json(status, [])

    def ended(self, output: Output, usage: Usage) -> dict[str, Any]:
        """With all of its output, complete or not."""
        assert self._run is not None
        status: State = "completed" if output.complete else "incomplete"
        counted = usage_object(usage) | extras_of(self._run, drafts=self._turn.body.return_drafts)
        return self._as_json(status, output.as_json(), usage=counted, reason=INCOMPLETE.get(output.reason))

    def failed(self, output: Output, error: SageholdError) -> dict[str, Any]:
        """With the output as far as it came."""
        return self._as_json("failed", output.as_json(), error=error_object(error))

    def _as_json(
        self,
        status: State,
        output: list[dict[str, Any]],
        *,
        usage: Mapping[str, Any] | None = None,
        reason: str | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "id": self._turn.id,
            "object": "response",
            "created_at": self._turn.created_at,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": error,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": output,
            "usage": usage,
            **self._said,
        }


INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def usage_object(usage: Usage) -> dict[str, Any]:
    """cache_write_tokens: what is cached here is not counted, and costs nothing."""
    more = {"audio_tokens": usage.audio_tokens, "image_tokens": usage.image_tokens}
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": 0,
            **{name: tokens for name, tokens in more.items() if tokens},
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def error_object(error: SageholdError) -> dict[str, Any]:
    """`error` of a failed response, whose codes are a closed list in the OpenAI API."""
    if isinstance(error, RateLimited):
        code = "rate_limit_exceeded"
    else:
        code = "server_error" if error.status >= 500 else "invalid_prompt"
    return {"code": code, "message": error.message}


def _said(turn: Turn, run: Run | None) -> dict[str, Any]:
    """What the object says of the request."""
    body = turn.body
    job = None if run is None else run.plan.job
    temperature, top_p = (job.temperature, job.top_p) if isinstance(job, ChatJob) else (body.temperature, body.top_p)
    return {
        "model": body.model,
        "instructions": body.instructions,
        "previous_response_id": body.previous_response_id,
        "conversation": None if body.conversation_id is None else {"id": body.conversation_id},
        "tools": _tools(body),
        "tool_choice": _tool_choice(body),
        "parallel_tool_calls": body.parallel_tool_calls,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "reasoning": {
            "effort": None if body.reasoning is None else body.reasoning.effort,
            "summary": None if body.reasoning is None else body.reasoning.summary,
        },
        "text": _text(body),
        "temperature": 1.0 if temperature is None else temperature,
        "top_p": 1.0 if top_p is None else top_p,
        "presence_penalty": body.presence_penalty or 0.0,
        "frequency_penalty": body.frequency_penalty or 0.0,
        "top_logprobs": body.top_logprobs,
        "truncation": body.truncation,
        "store": turn.stored,
        "background": body.background,
        "service_tier": "default",
        "metadata": body.metadata,
        "user": body.user,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    }


def _tools(body: ResponsesRequest) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": bool(tool.strict),
        }
        for tool in body.tools
    ]


def _tool_choice(body: ResponsesRequest) -> Any:
    choice = body.tool_choice
    if isinstance(choice, ToolChoice):
        if choice.type == "function":
            return {"type": "function", "name": choice.named}
        assert choice.allowed is not None
        return {"type": "allowed_tools", "mode": choice.allowed.mode, "tools": choice.allowed.tools}
    if choice in (None, "none", "auto", "required"):
        return choice or "auto"
    return {"type": "function", "name": choice}


def _text(body: ResponsesRequest) -> dict[str, Any]:
    asked = None if body.text is None else body.text.format
    verbosity = None if body.text is None else body.text.verbosity
    said: dict[str, Any] = {"type": "text" if asked is None else asked.type}
    if isinstance(asked, JsonSchemaFormat):
        said |= {
            "name": asked.name,
            "description": asked.description,
            "schema": asked.schema_,
            "strict": bool(asked.strict),
        }
    return {"format": said, "verbosity": verbosity or "medium"}
