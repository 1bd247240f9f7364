"""Events of a chat run as OpenAI JSON: one object, or a stream of chunks.

Shapes: the OpenAI API's `chat.completion` and `chat.completion.chunk`. Nothing of vLLM's own is passed on; what we
add (`reasoning_content`) is an added field.
"""

import os
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from server import __version__
from server.api.openai.chat_spoken import SpokenAnswer
from server.api.openai.dialect import DONE
from server.api.openai.extras import extras_of
from server.core import AudioChunk, Finish, ReasoningDelta, SpokenDelta, TextDelta, TokenLogprob, ToolCallDelta, Usage
from server.models.config.spec import ModelSpec
from server.pipeline.run import Run


@dataclass(frozen=True, slots=True)
class Answer:
    """What every object of one answer shares. model: as the client asked for it."""

    model: str
    fingerprint: str
    legacy: bool = False
    spoken: SpokenAnswer | None = None
    id: str = field(default_factory=lambda: f"chatcmpl-{os.urandom(16).hex()}")
    created: int = field(default_factory=lambda: int(time.time()))


def answer_for(run: Run, *, asked: str, legacy: bool, spoken: SpokenAnswer | None = None) -> Answer:
    return Answer(model=asked, fingerprint=_fingerprint(run.plan.spec), legacy=legacy, spoken=spoken)


_FINGERPRINTS: dict[int, tuple[ModelSpec, str]] = {}
"""By the id of a spec, which is kept so that the id stays its own. There are as many as models in the catalog."""


def _fingerprint(spec: ModelSpec) -> str:
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
    logprobs: list[dict[str, Any]] | None = None
    finish_reason: str | None = None

    def add(self, event: TextDelta | ReasoningDelta | ToolCallDelta) -> None:
        match event:
            case TextDelta():
                self.text.append(event.text)
                if event.logprobs is not None:
                    # Grown in place: a copy for each token makes long answers slow.
                    self.logprobs = self.logprobs or []
                    self.logprobs += map(_logprob, event.logprobs)
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
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if answer.spoken is not None:
            message |= answer.spoken.message()
        if self.calls and answer.legacy:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        return {
            "index": index,
            "message": message,
            "logprobs": None if self.logprobs is None else {"content": self.logprobs, "refusal": None},
            "finish_reason": _reason(self.finish_reason, answer),
        }


async def completion(run: Run, answer: Answer, n: int) -> bytes:
    """The whole answer as one JSON object. Raises what the run raises."""
    choices = [_Choice() for _ in range(n)]
    usage = Usage()
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
    return orjson.dumps(
        {
            "id": answer.id,
            "object": "chat.completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [choice.as_json(i, answer) for i, choice in enumerate(choices)],
            "usage": {**usage_object(usage), **extras_of(run)},
            "system_fingerprint": answer.fingerprint,
            "service_tier": "default",
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
        self, index: int, delta: Mapping[str, Any], finish_reason: str | None = None, logprobs: Any = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return self._head + orjson.dumps(choice) + self._tail

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        return self._head + b'],"usage":' + orjson.dumps(usage) + b"}\n\n"


async def chunks(run: Run, answer: Answer, n: int, *, include_usage: bool) -> AsyncGenerator[bytes, None]:
    """The answer as SSE frames, [DONE] included."""
    out = _Chunks(answer, include_usage)
    for index in range(n):
        yield out.delta(index, {"role": "assistant", "content": ""})
    async for event in run.events():
        match event:
            case TextDelta(logprobs=None):
                yield out.text(event.index, event.text)
            case TextDelta():
                content = [_logprob(entry) for entry in event.logprobs or ()]
                yield out.delta(event.index, {"content": event.text}, None, {"content": content, "refusal": None})
            case ReasoningDelta():
                yield out.delta(event.index, {"reasoning_content": event.text})
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
                yield out.usage({**usage_object(event), **extras_of(run)})
    yield DONE


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


def _logprob(entry: TokenLogprob) -> dict[str, Any]:
    return {**_alternative(entry), "top_logprobs": [_alternative(other) for other in entry.top]}


def _alternative(entry: TokenLogprob) -> dict[str, Any]:
    return {"token": entry.token, "logprob": entry.logprob, "bytes": list(entry.bytes)}
