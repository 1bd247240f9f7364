"""The body of POST /chat/completions, and its translation into a ChatJob.

Fields and limits follow the OpenAI API reference; fields that are not named here are ignored, because new clients
send new ones. The legacy `functions` dialect becomes tools on the way in, and `chat_response.py` turns it back.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from server.api.openai.chat_messages import MOST_MESSAGES, Message, engine_messages
from server.api.openai.chat_tools import Choice, Function, LegacyChoice, ToolParam, legacy_tools_of, tools_of
from server.api.openai.quality import QualityField
from server.api.validation import Body
from server.core import ChatJob
from server.errors import InvalidRequest

JSON_OBJECT: Mapping[str, Any] = {"type": "object"}
MOST_BIASES = 1024
"""Entries of `logit_bias`: what vLLM's model runner for GPUs has room for. It looks no sooner than in the engine's
core, which ends over one more (vllm/v1/worker/gpu/sample/logit_bias.py, MAX_NUM_LOGIT_BIAS_TOKENS)."""


class JsonSchema(Body):
    name: str = "answer"
    schema_: dict[str, Any] = Field(default_factory=lambda: dict(JSON_OBJECT), alias="schema")
    strict: bool | None = None


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Body):
    include_usage: bool | None = False


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
    tool_choice: Choice = None
    parallel_tool_calls: bool = True
    functions: list[Function] = Field(default_factory=list, max_length=128)
    function_call: LegacyChoice = None
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
        if self.tools and self.functions:
            raise InvalidRequest("Send either tools or functions, not both.", param="functions")
        if self.functions:
            tools, choice = legacy_tools_of(self.functions, self.function_call)
        else:
            tools, choice = tools_of(self.tools, self.tool_choice)
        return ChatJob(
            messages=tuple(engine_messages(self.messages)),
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
