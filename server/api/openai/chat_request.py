"""The body of POST /chat/completions, and its translation into a ChatJob.

Fields and limits follow the OpenAI API reference; fields that are not named here are ignored, because new clients
send new ones. The legacy `functions` dialect becomes tools on the way in, and `chat_response.py` turns it back.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.api.openai.quality import QualityField
from server.api.validation import Body
from server.core import ChatJob, Tool
from server.errors import InvalidRequest

FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
JSON_OBJECT: Mapping[str, Any] = {"type": "object"}
MOST_MESSAGES = 2048
"""As the OpenAI API has it. Hundreds of thousands of tiny ones fit into a body, and took seconds to lay out."""
MOST_PARTS = 10_000
"""Content parts and tool calls of all messages together, for the same reason."""
MOST_BIASES = 1024
"""Entries of `logit_bias`: what vLLM's model runner for GPUs has room for. It looks no sooner than in the engine's
core, which ends over one more (vllm/v1/worker/gpu/sample/logit_bias.py, MAX_NUM_LOGIT_BIAS_TOKENS)."""


class Function(Body):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def tool(self) -> Tool:
        return Tool(self.name, self.description, self.parameters, bool(self.strict))


class ToolParam(Body):
    type: str = "function"
    function: Function | None = None


class FunctionRef(Body):
    name: FunctionName


class AllowedTools(Body):
    mode: Literal["auto", "required"] = "auto"
    tools: list[dict[str, Any]] = Field(min_length=1)


class ToolChoice(Body):
    type: Literal["function", "allowed_tools"]
    function: FunctionRef | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Body):
    name: str = "answer"
    schema_: dict[str, Any] = Field(default_factory=lambda: dict(JSON_OBJECT), alias="schema")
    strict: bool | None = None


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Body):
    include_usage: bool | None = False


class Message(Body):
    """Loose where the API is loose: which fields a role needs is checked in `_messages`."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ChatRequest(Body):
    """Lists that are defaults come from factories: of others, pydantic makes deep copies, in half of the time that a
    plain request took."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int = Field(1, ge=1, le=128)
    stop: Annotated[list[str], Field(max_length=4), BeforeValidator(_listed)] = Field(default_factory=list)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=MOST_BIASES)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[ToolParam] = Field(default_factory=list, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool = True
    functions: list[Function] = Field(default_factory=list, max_length=128)
    function_call: Literal["none", "auto"] | FunctionRef | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    modalities: list[str] = Field(default_factory=lambda: ["text"])
    audio: dict[str, Any] | None = None
    quality: QualityField = None
    # vLLM's sampling extras, which its users send in the body
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool = False
    chat_template_kwargs: dict[str, Any] | None = None

    @property
    def legacy(self) -> bool:
        """Whether the answer must speak `function_call` rather than `tool_calls`."""
        return bool(self.functions)

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def job(self) -> ChatJob:
        """Raises InvalidRequest for what single fields can't tell."""
        self._check()
        tools, choice = self._tools()
        return ChatJob(
            messages=tuple(_messages(self.messages)),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            n=self.n,
            stop=tuple(stop for stop in self.stop if stop),
            seed=self.seed,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            logit_bias=self.logit_bias or None,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=self.parallel_tool_calls,
            output_schema=self._output_schema(),
            reasoning_effort=self.reasoning_effort,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            min_tokens=self.min_tokens,
            ignore_eos=self.ignore_eos,
            chat_template_kwargs=self.chat_template_kwargs,
        )

    def _check(self) -> None:
        parts = sum(len(message.tool_calls or ()) + _parts(message.content) for message in self.messages)
        if parts > MOST_PARTS:
            raise InvalidRequest(
                f"The messages have more than {MOST_PARTS} content parts and tool calls together.", param="messages"
            )
        if self.max_tokens and self.max_completion_tokens and self.max_tokens != self.max_completion_tokens:
            raise InvalidRequest("max_tokens and max_completion_tokens differ; send one of them.", param="max_tokens")
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("stream_options is only allowed when stream is true.", param="stream_options")
        if self.audio is not None or "audio" in self.modalities:
            raise InvalidRequest(
                "Spoken answers are not supported here; use /v1/audio/speech.",
                param="modalities" if "audio" in self.modalities else "audio",
                code="unsupported_value",
            )

    def _output_schema(self) -> Mapping[str, Any] | None:
        match self.response_format:
            case ResponseFormat(type="json_schema", json_schema=None):
                raise InvalidRequest(
                    "Missing required parameter: 'response_format.json_schema'.",
                    param="response_format.json_schema",
                    code="missing_required_parameter",
                )
            case ResponseFormat(type="json_schema", json_schema=JsonSchema(schema_=schema)):
                return schema
            case ResponseFormat(type="json_object"):
                return JSON_OBJECT
        return None

    def _tools(self) -> tuple[tuple[Tool, ...], str | tuple[str]]:
        if self.tools and self.functions:
            raise InvalidRequest("Send either tools or functions, not both.", param="functions")
        choice: str | FunctionRef
        if self.functions:
            tools = [function.tool() for function in self.functions]
            choice = self.function_call or "auto"
            param = "function_call"
        else:
            tools = [_function_of(tool, f"tools[{i}]").tool() for i, tool in enumerate(self.tools)]
            chosen = self.tool_choice or ("auto" if tools else "none")
            param = "tool_choice"
            if isinstance(chosen, ToolChoice):
                tools, choice = _narrow(tools, chosen)
            else:
                choice = chosen
        if isinstance(choice, FunctionRef):
            if choice.name not in {tool.name for tool in tools}:
                raise InvalidRequest(f"There is no function named '{choice.name}' to call.", param=param)
            return tuple(tools), (choice.name,)
        if not tools:
            if choice == "required":
                raise InvalidRequest("tool_choice needs tools.", param=param)
            return (), "none"
        return tuple(tools), choice


def _function_of(tool: ToolParam, param: str) -> Function:
    if tool.type != "function":
        raise InvalidRequest(
            f"Tools of type '{tool.type[:40]}' are not supported.", param=f"{param}.type", code="unsupported_value"
        )
    if tool.function is None:
        raise InvalidRequest(
            f"Missing required parameter: '{param}.function'.",
            param=f"{param}.function",
            code="missing_required_parameter",
        )
    return tool.function


def _narrow(tools: list[Tool], choice: ToolChoice) -> tuple[list[Tool], str | FunctionRef]:
    """The functions and the choice that an object in `tool_choice` means."""
    if choice.type == "function":
        if choice.function is None:
            raise InvalidRequest(
                "Missing required parameter: 'tool_choice.function'.",
                param="tool_choice.function",
                code="missing_required_parameter",
            )
        return tools, choice.function
    if choice.allowed_tools is None:
        raise InvalidRequest(
            "Missing required parameter: 'tool_choice.allowed_tools'.",
            param="tool_choice.allowed_tools",
            code="missing_required_parameter",
        )
    names = {str(_mapping(tool.get("function")).get("name")) for tool in choice.allowed_tools.tools}
    allowed = [tool for tool in tools if tool.name in names]
    if not allowed:
        raise InvalidRequest("None of the allowed tools is among tools.", param="tool_choice.allowed_tools.tools")
    return allowed, choice.allowed_tools.mode


def _messages(messages: Sequence[Message]) -> list[Mapping[str, Any]]:
    """OpenAI messages with the roles system, user, assistant and tool only."""
    told: list[Mapping[str, Any]] = []
    calls = 0  # legacy calls have no ids: the n-th call and the n-th result belong together
    for i, message in enumerate(messages):
        param = f"messages[{i}]"
        content = _content(message, param)
        match message.role:
            case "developer" | "system":
                told.append({"role": "system", "content": content})
            case "user":
                told.append({"role": "user", "content": content})
            case "assistant":
                one: dict[str, Any] = {"role": "assistant", "content": content}
                if message.tool_calls:
                    one["tool_calls"] = [
                        _call(call, f"{param}.tool_calls[{j}]") for j, call in enumerate(message.tool_calls)
                    ]
                elif message.function_call:
                    calls += 1
                    legacy = {"id": f"call_{calls}", "type": "function", "function": message.function_call}
                    one["tool_calls"] = [_call(legacy, param, inner="function_call")]
                told.append(one)
            case "tool":
                if not message.tool_call_id:
                    raise InvalidRequest(
                        f"Missing required parameter: '{param}.tool_call_id'.",
                        param=f"{param}.tool_call_id",
                        code="missing_required_parameter",
                    )
                told.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": content})
            case "function":
                told.append({"role": "tool", "tool_call_id": f"call_{calls}", "content": content})
    return told


def _content(message: Message, param: str) -> Any:
    """A string, or parts of the types text and image_url."""
    content = message.content
    if content is None:
        if message.role == "assistant":
            return ""
        raise InvalidRequest(
            f"Missing required parameter: '{param}.content'.",
            param=f"{param}.content",
            code="missing_required_parameter",
        )
    if isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = []
    for i, part in enumerate(content):
        where = f"{param}.content[{i}]"
        match part.get("type"):
            case "text" | "refusal" as kind:
                text = part.get(kind)
                if not isinstance(text, str):
                    raise InvalidRequest(
                        f"'{where}.{kind}' must be a string.", param=f"{where}.{kind}", code="invalid_type"
                    )
                parts.append({"type": "text", "text": text})
            case "image_url" if message.role == "user":
                image = part.get("image_url")
                url = image if isinstance(image, str) else _mapping(image).get("url")  # some clients send it bare
                if not isinstance(url, str):
                    raise InvalidRequest(
                        f"'{where}.image_url.url' must be a string.",
                        param=f"{where}.image_url.url",
                        code="invalid_type",
                    )
                parts.append({"type": "image_url", "image_url": {"url": url}})
            case kind:
                raise InvalidRequest(
                    f"Content parts of type '{str(kind)[:40]}' are not supported in {message.role} messages.",
                    param=f"{where}.type",
                    code="unsupported_value",
                )
    return parts if any(part["type"] != "text" for part in parts) else "\n".join(part["text"] for part in parts)


def _call(call: Mapping[str, Any], param: str, inner: str = "function") -> dict[str, Any]:
    function = _mapping(call.get("function"))
    name, arguments = function.get("name"), function.get("arguments", "{}")
    if not isinstance(name, str) or not isinstance(arguments, str):
        raise InvalidRequest(
            f"'{param}.{inner}' needs a name and arguments, both strings.",
            param=f"{param}.{inner}",
            code="invalid_type",
        )
    return {"id": str(call.get("id") or ""), "type": "function", "function": {"name": name, "arguments": arguments}}


def _parts(content: str | list[dict[str, Any]] | None) -> int:
    return len(content) if isinstance(content, list) else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
