"""Events of a completion run as OpenAI JSON: one object, or a stream of chunks of the same shape.

What vLLM's users ask for in the body (`prompt_logprobs`, `return_token_ids`) are added fields of the choices.
"""

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.api.openai.chat_response import Answer, fingerprint, usage_object
from server.api.openai.completion_request import CompletionRequest
from server.api.openai.dialect import DONE
from server.api.openai.extras import extras_of
from server.api.openai.token_response import prompt_logprob
from server.core import Finish, PromptTokens, TextDelta, TokenLogprob, Usage
from server.pipeline.run import Run


class Legacy:
    """The log-probabilities of one choice in the form of this endpoint, in which each token has its place in four
    arrays.

    text_offset: where a token begins, in characters of the choice's text; counted by the tokens' own texts, and on from
    one chunk to the next. top_logprobs: the likeliest, and the token itself where it is none of them. Of the first
    token of a prompt nothing is known: its entries are null.
    """

    def __init__(self, top: int, *, ids: bool) -> None:
        """ids: tokens are written `token_id:7`, so that those which are no whole characters can be told apart."""
        self._top = top
        self._ids = ids
        self._offset = 0

    def of_prompt(self, prompt: PromptTokens) -> dict[str, list[Any]]:
        logprobs, tokens = prompt.logprobs or (), prompt.tokens or ()
        return self._arrays([self._place(*place) for place in zip(logprobs, tokens, prompt.ids, strict=True)])

    def of_text(self, logprobs: Sequence[TokenLogprob]) -> dict[str, list[Any]]:
        return self._arrays([self._place(entry, entry.token, entry.id) for entry in logprobs])

    def _place(self, entry: TokenLogprob | None, token: str, number: int | None) -> tuple[str, Any, Any]:
        name = self._name(token, number)
        if entry is None:
            return name, None, None
        top: dict[str, float] = {}
        for other in (*entry.top[: self._top], entry):
            # Tokens that are no whole characters may have one text between them: the likeliest of them, which comes
            # first, has the place. Harnesses take the greatest of these for what a greedy model would have said.
            top.setdefault(self._name(other.token, other.id), other.logprob)
        return name, entry.logprob, top

    def _name(self, token: str, number: int | None) -> str:
        return f"token_id:{number}" if self._ids else token

    def _arrays(self, places: Sequence[tuple[str, Any, Any]]) -> dict[str, list[Any]]:
        offsets = []
        for token, _, _ in places:
            offsets.append(self._offset)
            self._offset += len(token)
        return {
            "tokens": [token for token, _, _ in places],
            "token_logprobs": [logprob for _, logprob, _ in places],
            "top_logprobs": [top for _, _, top in places],
            "text_offset": offsets,
        }


def completion_answer(run: Run, request: CompletionRequest) -> Answer:
    return Answer(request.model, fingerprint(run.plan.spec), id=f"cmpl-{os.urandom(16).hex()}")


def _legacy(request: CompletionRequest) -> Legacy | None:
    return None if request.logprobs is None else Legacy(request.logprobs, ids=request.return_tokens_as_token_ids)


def _of_prompt(prompt: PromptTokens, request: CompletionRequest) -> dict[str, Any]:
    """The added fields of a choice that tell of its prompt."""
    added: dict[str, Any] = {}
    if request.prompt_logprobs is not None:
        top = request.prompt_logprobs
        added["prompt_logprobs"] = [prompt_logprob(entry, top) for entry in prompt.logprobs or ()]
    if request.return_token_ids:
        added["prompt_token_ids"] = prompt.ids
    return added


# ---------------------------------------------------------------- one object


@dataclass(slots=True)
class _Choice:
    legacy: Legacy | None
    text: list[str] = field(default_factory=list)
    logprobs: dict[str, list[Any]] | None = None
    ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    added: dict[str, Any] = field(default_factory=dict)

    def begin(self, prompt: PromptTokens, request: CompletionRequest) -> None:
        self.added = _of_prompt(prompt, request)
        if request.echo:
            self.text.append(prompt.text or "")
            if self.legacy is not None:
                self._add(self.legacy.of_prompt(prompt))

    def add(self, event: TextDelta) -> None:
        self.text.append(event.text)
        self.ids += event.ids or ()
        if self.legacy is not None and event.logprobs is not None:
            self._add(self.legacy.of_text(event.logprobs))

    def _add(self, more: dict[str, list[Any]]) -> None:
        if self.logprobs is None:
            self.logprobs = more
            return
        for name, values in more.items():
            self.logprobs[name] += values

    def as_json(self, index: int, request: CompletionRequest) -> dict[str, Any]:
        logprobs = self.logprobs
        if logprobs is None and self.legacy is not None:
            logprobs = self.legacy.of_text(())
        ids = {"token_ids": self.ids} if request.return_token_ids else {}
        return {
            "text": "".join(self.text),
            "index": index,
            "logprobs": logprobs,
            "finish_reason": self.finish_reason,
            **self.added,
            **ids,
        }


async def completion(run: Run, answer: Answer, request: CompletionRequest, prompts: int) -> bytes:
    """The whole answer as one JSON object. Raises what the run raises."""
    choices = [_Choice(_legacy(request)) for _ in range(prompts * request.n)]
    usage = Usage()
    async for event in run.events():
        match event:
            case TextDelta():
                choices[event.index].add(event)
            case PromptTokens():
                for choice in choices[event.prompt * request.n :][: request.n]:
                    choice.begin(event, request)
            case Finish():
                choices[event.index].finish_reason = event.reason
            case Usage():
                usage = event
    return orjson.dumps(
        {
            "id": answer.id,
            "object": "text_completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [choice.as_json(index, request) for index, choice in enumerate(choices)],
            "usage": {**usage_object(usage), **extras_of(run)},
            "system_fingerprint": answer.fingerprint,
        }
    )


# ---------------------------------------------------------------- a stream


class _Chunks:
    """Formats chunks from a fixed head: this runs once a token, so nothing is built that doesn't change."""

    def __init__(self, run: Run, answer: Answer, request: CompletionRequest) -> None:
        head = orjson.dumps(
            {
                "id": answer.id,
                "object": "text_completion",
                "created": answer.created,
                "model": answer.model,
                "system_fingerprint": answer.fingerprint,
            }
        )
        self._head = b"data: " + head[:-1] + b',"choices":['
        # With include_usage every chunk but the last has a null usage; without it none has the field.
        self._tail = b'],"usage":null}\n\n' if request.include_usage else b"]}\n\n"
        self._continuous = request.continuous_usage
        self._prompt_tokens = run.facts.prompt_tokens
        self._tokens = 0

    def text(self, event: TextDelta) -> bytes:
        return b'%b{"text":%b,"index":%d,"logprobs":null,"finish_reason":null}%b' % (
            self._head,
            orjson.dumps(event.text),
            event.index,
            self._tail if not self._continuous else self._used(event.tokens),
        )

    def choice(self, index: int, text: str, *, tokens: int = 0, **fields: Any) -> bytes:
        choice = {"text": text, "index": index, "logprobs": None, "finish_reason": None, **fields}
        return self._head + orjson.dumps(choice) + (self._tail if not self._continuous else self._used(tokens))

    def _used(self, tokens: int) -> bytes:
        """The end of a chunk that says what all choices together have used so far."""
        self._tokens += tokens
        used = Usage(prompt_tokens=self._prompt_tokens, completion_tokens=self._tokens)
        return b'],"usage":' + orjson.dumps(usage_object(used)) + b"}\n\n"

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        return self._head + b'],"usage":' + orjson.dumps(usage) + b"}\n\n"


async def chunks(run: Run, answer: Answer, request: CompletionRequest, prompts: int) -> AsyncGenerator[bytes, None]:
    """The answer as SSE frames, [DONE] included; the choices come as they are made."""
    out = _Chunks(run, answer, request)
    legacies = [_legacy(request) for _ in range(prompts * request.n)]
    plain = request.logprobs is None and not request.return_token_ids
    async for event in run.events():
        match event:
            case TextDelta() if plain:
                yield out.text(event)
            case TextDelta():
                legacy = legacies[event.index]
                logprobs = legacy.of_text(event.logprobs or ()) if legacy is not None else None
                ids = {"token_ids": event.ids or ()} if request.return_token_ids else {}
                yield out.choice(event.index, event.text, tokens=event.tokens, logprobs=logprobs, **ids)
            case PromptTokens():
                for index in range(event.prompt * request.n, (event.prompt + 1) * request.n):
                    yield _echoed(event, out, index, legacies[index], request)
            case Finish():
                yield out.choice(event.index, "", tokens=event.tokens, finish_reason=event.reason)
            case Usage() if request.include_usage:
                yield out.usage({**usage_object(event), **extras_of(run)})
    yield DONE


def _echoed(prompt: PromptTokens, out: _Chunks, index: int, legacy: Legacy | None, request: CompletionRequest) -> bytes:
    logprobs = legacy.of_prompt(prompt) if legacy is not None and request.echo else None
    text = (prompt.text or "") if request.echo else ""
    return out.choice(index, text, logprobs=logprobs, **_of_prompt(prompt, request))
