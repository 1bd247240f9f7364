"""The body of POST /chat/completions, and its translation into a ChatJob.

Fields and limits follow the OpenAI API reference; fields that are not named here are ignored, because new clients
send new ones. The legacy `functions` dialect becomes tools on the way in, and `chat_response.py` turns it back.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from server.api.openai.chat_messages import MOST_MESSAGES, Message, Recall, engine_messages
from server.api.openai.chat_spoken import AudioParam, Modality, aloud_of
from server.api.openai.chat_tools import (
    Choice,
    Function,
    LegacyChoice,
    ToolParam,
    check_form,
    legacy_tools_of,
    tools_of,
)
from server.api.openai.rendering_request import RenderingRequest
from server.api.openai.sampling_request import REFUSED, SamplingRequest
from server.core import ChatJob
from server.errors import InvalidRequest


class ChatRequest(SamplingRequest, RenderingRequest):
    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[ToolParam] = Field(default_factory=list, max_length=128)
    tool_choice: Choice = None
    parallel_tool_calls: bool = True
    functions: list[Function] = Field(default_factory=list, max_length=128)
    function_call: LegacyChoice = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    modalities: list[Modality] = Field(default_factory=list[Modality])
    audio: AudioParam | None = None
    include_reasoning: bool = True
    # this server's own, see docs/quality.md
    return_drafts: bool = False

    refused: ClassVar[Mapping[str, tuple[tuple[Any, ...], str]]] = {
        **REFUSED,
        "best_of": ((1,), "best_of is for /v1/completions; `n` and the quality mode `ultra` draw several answers."),
    }

    @property
    def legacy(self) -> bool:
        """Whether the answer must speak `function_call` rather than `tool_calls`."""
        return bool(self.functions)

    def job(self, recall: Recall = lambda _: None) -> ChatJob:
        """recall: what earlier spoken answers said. Raises InvalidRequest for what single fields can't tell."""
        self._check()
        if self.tools and self.functions:
            raise InvalidRequest("Send either tools or functions, not both.", param="functions")
        if self.functions:
            tools, choice = legacy_tools_of(self.functions, self.function_call)
        else:
            tools, choice = tools_of(self.tools, self.tool_choice)
        sampling = self.sampling()
        check_form(sampling, choice)
        return ChatJob(
            **sampling,
            **self.rendering(),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            messages=tuple(engine_messages(self.messages, recall)),
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=self.parallel_tool_calls,
            reasoning_effort=self.reasoning_effort,
            aloud=aloud_of(self.modalities, self.audio, n=self.n, logprobs=self.logprobs),
        )

    def _check(self) -> None:
        if self.max_tokens and self.max_completion_tokens and self.max_tokens != self.max_completion_tokens:
            raise InvalidRequest("max_tokens and max_completion_tokens differ; send one of them.", param="max_tokens")
        self.check_least(self.max_completion_tokens or self.max_tokens)
        if self.prompt_logprobs is not None and self.stream:
            raise InvalidRequest("prompt_logprobs is only allowed when stream is false.", param="prompt_logprobs")
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")
