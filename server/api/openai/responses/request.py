"""The body of POST /responses, and its translation into a ChatJob.

Fields and limits follow the OpenAI API reference and the Open Responses specification. What the API has under another
name in chats is refused by that name; other fields that are not named here are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from server.api.openai.chat_tools import Choice, FunctionName, check_form, chosen_of, unsupported_tool
from server.api.openai.form_request import FORMS, JSON_OBJECT, Asked, form_of
from server.api.openai.rendering_request import RenderingRequest
from server.api.openai.sampling_request import REFUSED, SamplingRequest
from server.api.validation import Body
from server.core import ChatJob, Tool
from server.errors import InvalidRequest

MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
"""Of metadata, as the OpenAI API has it."""

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=LONGEST_KEY)], Annotated[str, Field(max_length=LONGEST_VALUE)]],
    Field(max_length=MOST_PAIRS),
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity = Literal["low", "medium", "high"]

LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
Include = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
"""Beside the first two they ask for parts of what only tools of the hosted API give: there is none of it here."""


def _moved(name: str, to: str) -> tuple[tuple[Any, ...], str]:
    return (), f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{to}'."


class ReasoningParam(Body):
    """summary: accepted, and none is written: the reasoning itself is in the item's content."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class TextFormat(Body):
    type: Literal["text"]


class JsonObjectFormat(Body):
    type: Literal["json_object"]


class JsonSchemaFormat(Body):
    type: Literal["json_schema"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


Format = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class TextParam(Body):
    format: Format | None = None
    verbosity: Verbosity | None = None


class FlatTool(Body):
    """A function; tools of other types are refused by their own."""

    type: str = "function"
    name: FunctionName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def tool(self, param: str) -> Tool:
        """Raises InvalidRequest."""
        if self.type != "function":
            raise unsupported_tool(self.type, param)
        if self.name is None:
            raise InvalidRequest(
                f"Missing required parameter: '{param}.name'.", param=f"{param}.name", code="missing_required_parameter"
            )
        return Tool(self.name, self.description, self.parameters, bool(self.strict))


class ConversationRef(Body):
    id: str


class ResponsesRequest(SamplingRequest, RenderingRequest):
    model: str = Field(min_length=1)
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationRef | None = None
    store: bool = True
    background: bool = False
    max_output_tokens: int | None = Field(None, ge=1)
    max_tool_calls: int | None = Field(None, ge=1)
    tools: list[FlatTool] = Field(default_factory=list, max_length=128)
    tool_choice: Choice = None
    parallel_tool_calls: bool = True
    text: TextParam | None = None
    reasoning: ReasoningParam | None = None
    include: list[Include] = Field(default_factory=list, max_length=16)
    top_logprobs: int = Field(0, ge=0, le=20)
    truncation: Literal["auto", "disabled"] = "disabled"
    metadata: Metadata = Field(default_factory=dict)
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    # this server's own, see docs/quality.md
    return_drafts: bool = False
    # What chats have and a response has not.
    max_tokens: SkipJsonSchema[None] = None
    n: SkipJsonSchema[Literal[1]] = 1
    response_format: SkipJsonSchema[None] = None
    prompt_logprobs: SkipJsonSchema[None] = None
    return_token_ids: SkipJsonSchema[Literal[False]] = False
    return_tokens_as_token_ids: SkipJsonSchema[Literal[False]] = False

    refused: ClassVar[Mapping[str, tuple[tuple[Any, ...], str]]] = {
        **REFUSED,
        "messages": _moved("messages", "input"),
        "max_tokens": _moved("max_tokens", "max_output_tokens"),
        "max_completion_tokens": _moved("max_completion_tokens", "max_output_tokens"),
        "response_format": _moved("response_format", "text.format"),
        "reasoning_effort": _moved("reasoning_effort", "reasoning.effort"),
        "functions": (([],), "functions are given as tools here."),
        "n": ((1,), "A response has one answer; n of /v1/chat/completions draws several."),
        "logprobs": ((False,), f"Log-probabilities come by include: ['{LOGPROBS}']."),
        "prompt": ((), "Prompt templates are not kept here; send instructions and input."),
        "prompt_logprobs": ((), "prompt_logprobs is for /v1/chat/completions."),
        "return_token_ids": ((False,), "return_token_ids is for /v1/chat/completions."),
        "return_tokens_as_token_ids": ((False,), "return_tokens_as_token_ids is for /v1/chat/completions."),
    }

    @property
    def conversation_id(self) -> str | None:
        return self.conversation.id if isinstance(self.conversation, ConversationRef) else self.conversation

    @property
    def logprobs(self) -> bool:
        """Whether the answer's tokens are told with their log-probabilities."""
        return LOGPROBS in self.include

    @property
    def seals_reasoning(self) -> bool:
        return ENCRYPTED in self.include

    def check(self) -> None:
        """Raises InvalidRequest for what single fields can't tell."""
        if self.previous_response_id is not None and self.conversation is not None:
            raise InvalidRequest(
                "Send either previous_response_id or conversation, not both.", param="previous_response_id"
            )
        if not self.input and self.previous_response_id is None and self.conversation is None:
            raise InvalidRequest(
                "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
            )
        self.check_least(self.max_output_tokens)

    def job(self, messages: Sequence[Mapping[str, Any]]) -> ChatJob:
        """messages: as engines take them. Raises InvalidRequest for what single fields can't tell."""
        known = [tool.tool(f"tools[{i}]") for i, tool in enumerate(self.tools)]
        tools, choice = chosen_of(known, self.tool_choice)
        sampling = self.sampling()
        check_form(sampling, choice)
        return ChatJob(
            **sampling,
            **self.rendering(),
            max_tokens=self.max_output_tokens,
            messages=tuple(messages),
            top_logprobs=self.top_logprobs if self.logprobs else None,
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=self.parallel_tool_calls,
            reasoning_effort=None if self.reasoning is None else self.reasoning.effort,
        )

    def form(self) -> dict[str, Any]:
        return form_of([*self._text_format(), *(self._asked() if self.model_fields_set & FORMS else ())])

    def _text_format(self) -> Iterator[Asked]:
        match self.text and self.text.format:
            case JsonObjectFormat():
                yield "text.format", "json", JSON_OBJECT
            case JsonSchemaFormat() as asked:
                yield "text.format", "json", asked.schema_
