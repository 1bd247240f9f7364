"""Chat completions, as the OpenAI API has them, with what vLLM's users and this server's add."""

from typing import Any, Literal

from pydantic import Field

from server.api.answers.base import Answer, Extras

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptTokensDetails(Answer):
    cached_tokens: int
    audio_tokens: int


class CompletionTokensDetails(Answer):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class TokenUsage(Answer):
    """Tokens of all passes."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class ChatUsage(Extras, TokenUsage):
    pass


class TokenLogprob(Answer):
    """logprob: in nats. bytes: of the token's text, UTF-8."""

    token: str
    logprob: float
    bytes: list[int] | None


class Logprob(TokenLogprob):
    top_logprobs: list[TokenLogprob]


class Logprobs(Answer):
    content: list[Logprob] | None
    refusal: list[Logprob] | None


class PromptLogprob(Answer):
    """rank: 1 for the likeliest at its place."""

    logprob: float
    rank: int | None
    decoded_token: str | None


PromptLogprobs = list[dict[str, PromptLogprob] | None]
"""Of each token of a prompt, by token ids, as vLLM has it: the prompt's own first, then the likeliest."""


class Function(Answer):
    """arguments: JSON, as text."""

    name: str
    arguments: str


class ToolCall(Answer):
    id: str
    type: Literal["function"]
    function: Function


class SpokenAnswer(Answer):
    """data: base64. transcript: what is spoken. expires_at: Unix seconds."""

    id: str
    data: str
    expires_at: int
    transcript: str


class ChatMessage(Answer):
    """reasoning, reasoning_content: the same text, under the names that clients of different servers look for."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Any]
    reasoning: str = ""
    reasoning_content: str = ""
    tool_calls: list[ToolCall] = Field(default_factory=list)
    function_call: Function | None = None
    audio: SpokenAnswer | None = None


class ChatChoice(Answer):
    """token_ids: with `return_token_ids`."""

    index: int
    message: ChatMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason
    token_ids: list[int] | None = None


class ChatCompletion(Answer):
    """model: as the client asked for it. prompt_logprobs, prompt_token_ids: as vLLM has them, on request."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    system_fingerprint: str
    service_tier: str
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None


class FunctionDelta(Answer):
    name: str = ""
    arguments: str = ""


class ToolCallDelta(Answer):
    """id, type and the function's name come with a call's first piece."""

    index: int
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionDelta


class SpokenDelta(Answer):
    id: str = ""
    data: str = ""
    transcript: str = ""
    expires_at: int = 0


class ChatDelta(Answer):
    role: Literal["assistant"] = "assistant"
    content: str | None = None
    reasoning: str = ""
    reasoning_content: str = ""
    tool_calls: list[ToolCallDelta] = Field(default_factory=list)
    function_call: FunctionDelta | None = None
    audio: SpokenDelta | None = None


class ChunkChoice(Answer):
    index: int
    delta: ChatDelta
    logprobs: Logprobs | None
    finish_reason: FinishReason | None
    token_ids: list[int] | None = None


class ChatCompletionChunk(Answer):
    """usage: of the last chunk, with `stream_options.include_usage`; of each, with `continuous_usage_stats`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: ChatUsage | TokenUsage | None = None
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None
