"""The form that an answer must have, as vLLM's requests say it."""

from collections.abc import Mapping
from typing import Any

from server.core import ChatJob, Sampling, Tool
from server.engines.vllm import schema_limits

NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def fields(job: Sampling) -> dict[str, Any]:
    """The part of vLLM's request that asks for a form; empty where the job asks for none. Raises InvalidRequest."""
    schema = (forced_schema(job) if isinstance(job, ChatJob) else None) or job.output_schema
    if schema is None:
        return {}
    schema_limits.check(schema, "response_format" if schema is job.output_schema else "tools")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}}


def forced_schema(job: ChatJob) -> Mapping[str, Any] | None:
    """The JSON Schema that a forced call must obey, or None where no call is forced.

    One possible function: its own parameters. Several (`required`): an envelope that names the function first, so
    that the arguments can be streamed as they come; see `output.RequiredCall`.
    """
    if job.forced_tool is not None:
        (tool,) = (tool for tool in job.tools if tool.name == job.forced_tool)
        return tool.parameters or NO_ARGUMENTS
    if job.tool_choice == "required":
        if len(job.tools) == 1:
            return job.tools[0].parameters or NO_ARGUMENTS
        return {"anyOf": [_envelope(tool) for tool in job.tools]}
    return None


def _envelope(tool: Tool) -> Mapping[str, Any]:
    # By an id of its own, `#/$defs/…` goes on meaning the function's schema, and not the envelopes around it.
    arguments = {"$id": f"function:{tool.name}", **(tool.parameters or NO_ARGUMENTS)}
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
