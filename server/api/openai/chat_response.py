"""Events of a chat run as OpenAI JSON: one object, or a stream of chunks.

Shapes: the OpenAI API's `chat.completion` and `chat.completion.chunk`. Beside them there is what was asked for in
vLLM's words (`token_ids`, `prompt_token_ids`, `prompt_logprobs`), and the reasoning of models that keep it apart: as
`reasoning` and as `reasoning_content`, since clients read one or the other.
"""

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from server import __version__
from server.api.openai.chat_request import ChatRequest
from server.api.openai.chat_spoken import SpokenAnswer
from server.api.openai.dialect import DONE
from server.api.openai.extras import extras_of
from server.api.openai.token_response import logprobs_of, prompt_read
from server.core import (
    AudioChunk,
    Event,
    Finish,
    PromptTokens,
    ReasoningDelta,
    SpokenDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from server.models.config.spec import ModelSpec
from server.pipeline.run import Run


@dataclass(frozen=True, slots=True)
class Answer:
    """What every object of one answer shares.

    model: as the client asked for it. legacy: calls are `function_call`. as_ids: tokens are written as `token_id:7`.
    reasoning: whether it is sent. drafts: whether the usage tells those that the answer was chosen from.
    """

    model: str
    fingerprint: str
    legacy: bool = False
    as_ids: bool = False
    reasoning: bool = True
    drafts: bool = False
    spoken: SpokenAnswer | None = None
    id: str = field(default_factory=lambda: f"chatcmpl-{os.urandom(16).hex()}")
    created: int = field(default_factory=lambda: int(time.time()))


def answer_for(run: Run, body: ChatRequest, spoken: SpokenAnswer | None = None) -> Answer:
    """spoken: what gathers the answer's voice, where one was asked for."""
    return Answer(
        body.model,
        fingerprint(run.plan.spec),
        body.legacy,
        body.return_tokens_as_token_ids,
        body.include_reasoning,
        body.return_drafts,
        spoken,
    )


_FINGERPRINTS: dict[int, tuple[ModelSpec, str]] = {}
"""By the id of a spec, which is kept so that the id stays its own. There are as many as models in the catalog."""


def fingerprint(spec: ModelSpec) -> str:
    """It tells clients that use `seed` when the server behind it has changed. Made once a spec, in 12 µs or more."""
    known = _FINGERPRINTS.get(id(spec))
    if known is None:
        mark = sha256(f"{__version__} {spec.model_dump_json()}".encode()).hexdigest()[:12]
        known = _FINGERPRINTS[id(spec)] = (spec, f"fp_{mark}")
    return known[1]


# ---------------------------------------------------------------- one object


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[TokenLogprob] | None = None
    ids: list[int] | None = None
    finish_reason: str | None = None

    def add(self, event: TextDelta | ReasoningDelta | ToolCallDelta) -> None:
        match event:
            case TextDelta():
                self.text.append(event.text)
                if event.logprobs is not None:
                    # Grown in place: a copy for each token makes long answers slow.
                    self.logprobs = self.logprobs or []
                    self.logprobs += event.logprobs
                if event.ids is not None:
                    self.ids = self.ids or []
                    self.ids += event.ids
            case ReasoningDelta():
                self.reasoning.append(event.text)
            case ToolCallDelta():
                if event.name is not None:
                    self.calls.append(
                        {"id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}}
                    )
                self.calls[event.call]["function"]["arguments"] += event.arguments

    def as_json(self, index: int, answer: Answer) -> dict[str, Any]:
        text = "".join(self.text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if self.calls and not text.strip() else text,
            "refusal": None,
            "annotations": [],
        }
        if self.reasoning and answer.reasoning:
            message["reasoning"] = message["reasoning_content"] = "".join(self.reasoning)
        if answer.spoken is not None:
            message |= answer.spoken.message()
        if self.calls and answer.legacy:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        choice = {
            "index": index,
            "message": message,
            "logprobs": None if self.logprobs is None else logprobs_of(self.logprobs, as_ids=answer.as_ids),
            "finish_reason": _reason(self.finish_reason, answer),
        }
        return choice if self.ids is None else {**choice, "token_ids": self.ids}


async def completion(run: Run, answer: Answer, n: int) -> bytes:
    """The whole answer as one JSON object. Raises what the run raises."""
    choices = [_Choice() for _ in range(n)]
    usage = Usage()
    read: dict[str, Any] = {}
    async for event in run.events():
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                choices[event.index].add(event)
            case Finish():
                choices[event.index].finish_reason = event.reason
            case SpokenDelta() | AudioChunk() if answer.spoken is not None:
                answer.spoken.add(event)
            case Usage():
                usage = event
            case PromptTokens():
                read = prompt_read(event, run.plan.job)
    return orjson.dumps(
        {
            "id": answer.id,
            "object": "chat.completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [choice.as_json(i, answer) for i, choice in enumerate(choices)],
            "usage": {**usage_object(usage), **extras_of(run, drafts=answer.drafts)},
            "system_fingerprint": answer.fingerprint,
            "service_tier": "default",
            **read,
        }
    )


# ---------------------------------------------------------------- a stream


class _Chunks:
    """Formats chunks from a fixed head and tail: this runs once a token, so nothing is built that doesn't change."""

    def __init__(self, answer: Answer, include_usage: bool) -> None:
        head = orjson.dumps(
            {
                "id": answer.id,
                "object": "chat.completion.chunk",
                "created": answer.created,
                "model": answer.model,
                "system_fingerprint": answer.fingerprint,
            }
        )
        self._head = b"data: " + head[:-1] + b',"choices":['
        # With include_usage every chunk but the last has a null usage; without it none has the field.
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"

    def text(self, index: int, text: str) -> bytes:
        return b'%b{"index":%d,"delta":{"content":%b},"logprobs":null,"finish_reason":null}%b' % (
            self._head,
            index,
            orjson.dumps(text),
            self._tail,
        )

    def delta(
        self,
        index: int,
        delta: Mapping[str, Any],
        finish_reason: str | None = None,
        logprobs: Any = None,
        ids: Sequence[int] | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        if ids is not None:
            choice["token_ids"] = ids
        return self._head + orjson.dumps(choice) + self._tail

    def count(self, usage: Usage) -> None:
        """Let the chunks from now on carry this usage."""
        self._tail = b'],"usage":' + orjson.dumps(usage_object(usage)) + b"}\n\n"

    def read(self, ids: Sequence[int]) -> bytes:
        """The role of the first choice, with the prompt's ids beside it, as vLLM's first chunk has them."""
        return self.role(0).removesuffix(b"}\n\n") + b',"prompt_token_ids":' + orjson.dumps(ids) + b"}\n\n"

    def role(self, index: int) -> bytes:
        return self.delta(index, {"role": "assistant", "content": ""})

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        return self._head + b'],"usage":' + orjson.dumps(usage) + b"}\n\n"


async def chunks(
    run: Run, answer: Answer, n: int, *, include_usage: bool, continuous: bool = False
) -> AsyncGenerator[bytes, None]:
    """The answer as SSE frames, [DONE] included. continuous: each chunk has the usage so far.

    The role of a choice comes with its first piece, in a chunk of its own, and not before: whoever measures the time to
    the first token takes the first chunk for it.
    """
    out = _Chunks(answer, include_usage)
    silent = set(range(n))
    async for event in _counted(run, out) if continuous else run.events():
        if silent:
            index = 0 if isinstance(event, PromptTokens) else getattr(event, "index", None)
            if index in silent:
                silent.discard(index)
                yield out.read(event.ids) if isinstance(event, PromptTokens) else out.role(index)
        match event:
            case TextDelta(logprobs=None, ids=None):
                yield out.text(event.index, event.text)
            case TextDelta():
                logprobs = None if event.logprobs is None else logprobs_of(event.logprobs, as_ids=answer.as_ids)
                yield out.delta(event.index, {"content": event.text}, None, logprobs, event.ids)
            case ReasoningDelta() if answer.reasoning:
                yield out.delta(event.index, {"reasoning": event.text, "reasoning_content": event.text})
            case ToolCallDelta():
                if (delta := _call_delta(event, answer)) is not None:
                    yield out.delta(event.index, delta)
            case SpokenDelta() | AudioChunk() if answer.spoken is not None:
                if (piece := answer.spoken.delta(event)) is not None:
                    yield out.delta(0, piece)
            case Finish():
                if answer.spoken is not None and (last := answer.spoken.last()) is not None:
                    yield out.delta(event.index, last)
                yield out.delta(event.index, {}, _reason(event.reason, answer))
            case Usage() if include_usage:
                yield out.usage({**usage_object(event), **extras_of(run, drafts=answer.drafts)})
    yield DONE


async def _counted(run: Run, out: _Chunks) -> AsyncGenerator[Event, None]:
    """The run's events, with the chunks told before each what has been used."""
    async for event in run.events():
        out.count(run.usage)
        yield event


def _call_delta(event: ToolCallDelta, answer: Answer) -> Mapping[str, Any] | None:
    function = (
        {"arguments": event.arguments} if event.name is None else {"name": event.name, "arguments": event.arguments}
    )
    if answer.legacy:
        # The legacy dialect has room for one call.
        return {"function_call": function} if event.call == 0 else None
    if event.name is None:
        return {"tool_calls": [{"index": event.call, "function": function}]}
    return {"tool_calls": [{"index": event.call, "id": event.id, "type": "function", "function": function}]}


# ---------------------------------------------------------------- parts of both


def usage_object(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": usage.audio_tokens,
            **({"image_tokens": usage.image_tokens} if usage.image_tokens else {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _reason(reason: str | None, answer: Answer) -> str | None:
    return "function_call" if answer.legacy and reason == "tool_calls" else reason
