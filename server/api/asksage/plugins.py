"""/server/get-plugins, /execute-plugin and its kin: prompts that are filled in here, and asked like any question."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.answers.asksage import Completion, Plugins
from server.api.asksage.body import Nothing
from server.api.asksage.dialect import said
from server.api.asksage.plugin_templates import TEMPLATES, Template, template
from server.api.asksage.query import Asking
from server.api.asksage.query_request import DatasetNames, QueryBody
from server.api.deps import PipelineDep, ServicesDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.errors import InvalidRequest

router = APIRouter(route_class=PlainRoute)


class PluginBody(QueryBody):
    """plugin_name: a plugin's tag, title or id. plugin_values: an object, or an array in the order of the fields.

    The other fields are those of a question; datasets are asked only where they are named.
    """

    plugin_name: str | None = None
    plugin_tag: str | None = None
    plugin_values: dict[str, Any] | list[Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)
    dataset: DatasetNames = Field(default_factory=lambda: ["none"])

    def prompt(self) -> str:
        """Raises NotFound, InvalidRequest."""
        name = self.plugin_name or self.plugin_tag
        if not name:
            raise InvalidRequest(
                "Missing required parameter: 'plugin_name'.", param="plugin_name", code="missing_required_parameter"
            )
        chosen = template(name)
        return chosen.filled(_values(chosen, self.plugin_values or self.params))


def _values(chosen: Template, given: Mapping[str, Any] | list[Any]) -> Mapping[str, str]:
    """By field: as an object has them; as an array of objects with a name and a value; or in the fields' order."""
    if isinstance(given, Mapping):
        pairs = list(given.items())
    elif all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in given):
        pairs = [(one["name"], one.get("value", "")) for one in given]
    else:
        pairs = list(zip(chosen.fields, given, strict=False))
    return {name: value if isinstance(value, str) else str(value) for name, value in pairs if value is not None}


@router.api_route("/get-plugins", methods=["GET", "POST"])
@documented(body=Nothing, answer=Plugins, examples={"nothing": {}})
async def get_plugins(request: Request) -> Response:  # noqa: ARG001 - PlainRoute wants it
    """The plugins, each with the prompt that a client may fill in by itself."""
    return said([one.shown() for one in TEMPLATES])


EXAMPLES = {
    "a summary": {"plugin_name": "summarize", "plugin_values": {"text": "A long text."}, "model": "gpt-4o-mini"}
}


async def _execute(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    asking = Asking(request, pipeline, services)
    body, files = await asking.received(PluginBody)
    return await asking.answer(body, [{"role": "user", "content": body.prompt()}], files, streamed=body.streaming)


@router.post("/execute-plugin")
@documented(body=PluginBody, form=PluginBody, inference=True, answer=Completion, examples=EXAMPLES)
async def execute_plugin(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """Fill in a plugin's prompt and answer it; as JSON, streamed only with `streaming`."""
    return await _execute(request, pipeline, services)


@router.post("/execute-plugin-with-file")
@documented(
    body=PluginBody, form=PluginBody, files={"file": True}, inference=True, answer=Completion, examples=EXAMPLES
)
async def execute_plugin_with_file(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """The same, about a file."""
    return await _execute(request, pipeline, services)


@router.post("/query-plugin")
@documented(body=PluginBody, form=PluginBody, inference=True, answer=Completion, examples=EXAMPLES)
async def query_plugin(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """The same as /server/execute-plugin, by `plugin_tag` and `params` too."""
    return await _execute(request, pipeline, services)
