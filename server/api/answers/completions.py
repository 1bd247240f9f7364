"""Completions in the OpenAI API's older form, and tokens as vLLM's server tells them."""

from typing import Literal

from server.api.answers.base import Answer
from server.api.answers.chat import ChatUsage, PromptLogprobs, TokenUsage


class LegacyLogprobs(Answer):
    """Each token has its place in all four. Of the first token of a prompt that is echoed nothing is known.

    text_offset: where a token begins, in characters of the choice's text.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Answer):
    """Choice i of prompt p has the index p * n + i. prompt_logprobs, prompt_token_ids, token_ids: on request."""

    index: int
    text: str
    logprobs: LegacyLogprobs | None
    finish_reason: Literal["stop", "length", "content_filter"]
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None
    token_ids: list[int] | None = None


class Completion(Answer):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChatUsage
    system_fingerprint: str


class CompletionChunkChoice(CompletionChoice):
    finish_reason: Literal["stop", "length", "content_filter"] | None  # type: ignore[assignment]


class CompletionChunk(Answer):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChunkChoice]
    usage: ChatUsage | TokenUsage | None = None


class Tokens(Answer):
    """count: of the tokens. token_strs: as the vocabulary spells them, if asked for."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class Text(Answer):
    prompt: str
