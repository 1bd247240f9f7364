"""The form that an answer must have, as vLLM's requests say it."""

from collections.abc import Mapping
from typing import Any

from server.core import ChatJob, Sampling, Tool
from server.engines.vllm import schema_form, schema_limits, text_form

NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def fields(job: Sampling) -> dict[str, Any]:
    """The part of vLLM's request that asks for a form; empty where the job asks for none. Raises InvalidRequest."""
    schema, param = schema_of(job), field_of(job)
    if schema is None:
        return {} if job.constraint is None else text_form.fields(job.constraint, param)
    schema_limits.check(schema, param)
    form = schema_form.form_of(schema, param)
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": form.grammar}}}


def binds(job: Sampling) -> bool:
    """Whether the job asks for a form."""
    return job.output_schema is not None or job.constraint is not None or forced_schema(job) is not None


def schema_of(job: Sampling) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer must obey, as the client wrote it; None where there is none."""
    forced = forced_schema(job)
    return job.output_schema if forced is None else forced


def field_of(job: Sampling) -> str:
    """The request's field that asks for the form."""
    return "tools" if forced_schema(job) is not None else job.form_field or "response_format"


def forced_schema(job: Sampling) -> Mapping[str, Any] | None:
    """The JSON Schema that a forced call must obey, or None where no call is forced.

    One possible function: its own parameters. Several (`required`): an envelope that names the function first, so
    that the arguments can be streamed as they come; see `output.RequiredCall`.
    """
    if not isinstance(job, ChatJob):
        return None
    if job.forced_tool is not None:
        (tool,) = (tool for tool in job.tools if tool.name == job.forced_tool)
        return _arguments(tool)
    if job.tool_choice == "required":
        if len(job.tools) == 1:
            return _arguments(job.tools[0])
        return {"anyOf": [_envelope(tool) for tool in job.tools]}
    return None


def _arguments(tool: Tool) -> Mapping[str, Any]:
    # Arguments are an object, also where the schema forgets to say so.
    return {"type": "object", **tool.parameters} if tool.parameters else NO_ARGUMENTS


def _envelope(tool: Tool) -> Mapping[str, Any]:
    # By an id of its own, `#/$defs/…` goes on meaning the function's schema, and not the envelopes around it.
    arguments = {"$id": f"function:{tool.name}", **_arguments(tool)}
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
