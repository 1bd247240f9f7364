"""What the Ask Sage dialect answers. `response` is mostly the payload; of a completion it is a word."""

from typing import Any, Literal

from pydantic import Field

from server.api.answers.base import Answer


class Refusal(Answer):
    """What went wrong, with HTTP status 200 unless the server is strict. error, param: not in the service's bodies."""

    response: str
    status: int
    error: str
    param: str | None = None


class ModelTokens(Answer):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionUsage(Answer):
    """asksage_tokens: as many as the model's."""

    model_tokens: ModelTokens
    asksage_tokens: int


class ToolFunction(Answer):
    name: str
    arguments: str


class ToolCall(Answer):
    id: str
    type: Literal["function"]
    function: ToolFunction


class PersonaOf(Answer):
    id: int
    version: int


class Provenance(Answer):
    model: str
    datasets: list[str]
    persona: PersonaOf | None
    agents: list[Any]
    timestamp: str


class Completion(Answer):
    """An answer. references: numbered lines; citations and sources say the same by fields. live_unavailable: why live
    search gave nothing, or less than was asked for. type: `teach` where the model is not served."""

    added_obj: None
    citations: list[dict[str, Any]]
    embedding_down: bool
    error: str | None
    live_unavailable: str | None
    message: str
    provenance: Provenance | None
    references: str
    response: str
    sources: list[dict[str, Any]]
    status: int
    tool_calls: list[ToolCall] | None
    tool_calls_unified: list[ToolCall] | None
    tool_responses: list[Any] | None
    type: Literal["completion", "teach"]
    usage: CompletionUsage | None
    uuid: str | None
    vectors_down: bool


class Status(Answer):
    response: str
    status: int


class Count(Answer):
    response: int
    status: int


class AccessToken(Answer):
    access_token: str


class TokenAnswer(Answer):
    """status: the text `200`, as the service sends it here."""

    response: AccessToken
    status: str


class NativeModel(Answer):
    """created: the text `na`. The last fields are there with `format=full`."""

    id: str
    name: str
    object: Literal["model"]
    created: str
    owned_by: str
    vendor: str | None = None
    description: str | None = None
    capabilities: list[str] = Field(default_factory=list)
    context: int | None = None
    token_conversion_rate: float | None = None


class NativeModels(Answer):
    object: Literal["list"]
    data: list[NativeModel]
    response: list[str]
    status: int


class Plugin(Answer):
    id: str
    plugin_name: str
    title: str
    description: str
    category: str
    file_mode: bool
    paid_only: bool
    regex: str | None
    prompt_template: str
    fields: list[dict[str, Any]]


class Plugins(Answer):
    response: list[Plugin]
    status: int
