"""Responses, as the OpenAI API and the Open Responses specification have them, with what this server adds."""

from typing import Any, Literal

from pydantic import Field

from server.api.answers.base import Answer, Extras
from server.api.answers.chat import Logprob

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(Answer):
    """logprobs: with `include: ["message.output_text.logprobs"]`."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Logprob]


class ReasoningText(Answer):
    type: Literal["reasoning_text"]
    text: str


class OutputMessage(Answer):
    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class ReasoningItem(Answer):
    """summary: always empty; the reasoning itself is in content. encrypted_content: on request."""

    type: Literal["reasoning"]
    id: str
    status: ItemStatus
    summary: list[Any]
    content: list[ReasoningText]
    encrypted_content: str = ""


class FunctionCallItem(Answer):
    """arguments: JSON, as text."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


OutputItem = OutputMessage | ReasoningItem | FunctionCallItem


class InputTokensDetails(Answer):
    cached_tokens: int
    cache_write_tokens: int
    audio_tokens: int = 0
    image_tokens: int = 0


class OutputTokensDetails(Answer):
    reasoning_tokens: int


class ResponseUsage(Extras):
    """Tokens of all passes."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseFault(Answer):
    code: str
    message: str


class IncompleteDetails(Answer):
    reason: Literal["max_output_tokens", "content_filter"]


class FunctionTool(Answer):
    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool


class ReasoningSettings(Answer):
    effort: str | None
    summary: str | None


class TextFormat(Answer):
    """name, description, schema, strict: of a `json_schema`."""

    type: Literal["text", "json_object", "json_schema"]
    name: str = ""
    description: str | None = None
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")
    strict: bool = False


class TextSettings(Answer):
    format: TextFormat
    verbosity: str


class ConversationOf(Answer):
    id: str


class ResponseResource(Answer):
    """A response. model: as the client asked for it. created_at, completed_at: Unix seconds. What the request sent is
    said again, with the defaults for what it left open."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Status
    error: ResponseFault | None
    incomplete_details: IncompleteDetails | None
    output: list[OutputItem]
    usage: ResponseUsage | None
    model: str
    instructions: str | None
    previous_response_id: str | None
    conversation: ConversationOf | None
    tools: list[FunctionTool]
    tool_choice: str | dict[str, Any]
    parallel_tool_calls: bool
    max_output_tokens: int | None
    max_tool_calls: int | None
    reasoning: ReasoningSettings
    text: TextSettings
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    truncation: Literal["auto", "disabled"]
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None


# ---------------------------------------------------------------- events


class ResponseEvent(Answer):
    """sequence_number: from 0, without gaps."""

    sequence_number: int


class LifecycleEvent(ResponseEvent):
    type: Literal[
        "response.queued",
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: ResponseResource


class ItemEvent(ResponseEvent):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class PartEvent(ResponseEvent):
    type: Literal["response.content_part.added", "response.content_part.done"]
    item_id: str
    output_index: int
    content_index: int
    part: OutputText | ReasoningText


class TextDeltaEvent(ResponseEvent):
    type: Literal["response.output_text.delta"]
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[Logprob]


class TextDoneEvent(ResponseEvent):
    type: Literal["response.output_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[Logprob]


class ReasoningDeltaEvent(ResponseEvent):
    type: Literal["response.reasoning_text.delta"]
    item_id: str
    output_index: int
    content_index: int
    delta: str


class ReasoningDoneEvent(ResponseEvent):
    type: Literal["response.reasoning_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str


class ArgumentsDeltaEvent(ResponseEvent):
    type: Literal["response.function_call_arguments.delta"]
    item_id: str
    output_index: int
    delta: str


class ArgumentsDoneEvent(ResponseEvent):
    type: Literal["response.function_call_arguments.done"]
    item_id: str
    output_index: int
    name: str
    arguments: str


class StreamedError(Answer):
    type: str
    code: str | None
    message: str
    param: str | None


class ErrorEvent(ResponseEvent):
    """The last event but for the failed response; its fields twice, as there are clients of either form."""

    type: Literal["error"]
    code: str | None
    message: str
    param: str | None
    error: StreamedError


EVENTS = (
    LifecycleEvent,
    ItemEvent,
    PartEvent,
    TextDeltaEvent,
    TextDoneEvent,
    ReasoningDeltaEvent,
    ReasoningDoneEvent,
    ArgumentsDeltaEvent,
    ArgumentsDoneEvent,
    ErrorEvent,
)
