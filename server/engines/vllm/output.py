"""vLLM's outputs as events. One `Choice` follows one of the n answers of a request."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.outputs import CompletionOutput
from vllm.parser.abstract_parser import Parser

from server.core import (
    Finish,
    FinishReason,
    PromptTokens,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from server.engines.vllm import releases
from server.errors import EngineFailed

FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "repetition": "stop"}


Told = TextDelta | ReasoningDelta | ToolCallDelta | Finish
"""What an answer is told by. Each says how many tokens it stands for."""


class Choice(Protocol):
    """Turns the pieces of one answer into events, in order."""

    @property
    def reasoning_tokens(self) -> int: ...

    def feed(self, output: CompletionOutput) -> Iterable[Told]: ...


class Text:
    """The plain case, and the hot path: a piece of text is a piece of the answer."""

    reasoning_tokens = 0

    def __init__(self, index: int, top_logprobs: int | None, *, ids: bool = False) -> None:
        """ids: whether the events tell the ids of their tokens, those without text included."""
        self._index = index
        self._top = top_logprobs
        self._told = ids

    def feed(self, output: CompletionOutput) -> Iterator[Told]:
        tokens = len(output.token_ids)
        logprobs = None if self._top is None else token_logprobs(output, self._top)
        if output.text or logprobs or (self._told and tokens):
            yield TextDelta(self._index, output.text, logprobs, tokens, tuple(output.token_ids) if self._told else None)
            tokens = 0
        if output.finish_reason is not None:
            yield Finish(self._index, _reason(output), tokens)


class Parsed:
    """An answer that vLLM's parsers take apart into reasoning, text and the calls the model chose to make.

    parallel: whether there may be more calls than one; those beyond the first are dropped otherwise.
    ids: whether the ids of the tokens are told, in a piece of text that comes before what else they make.
    """

    def __init__(
        self,
        index: int,
        top_logprobs: int | None,
        parser: Parser,
        request: ChatCompletionRequest,
        prompt_token_ids: list[int],
        *,
        parallel: bool = True,
        ids: bool = False,
    ) -> None:
        self._index = index
        self._top = top_logprobs
        self._parser = parser
        self._request = request
        self._prompt = prompt_token_ids
        self._parallel = parallel
        self._told = ids
        self._ids: list[int] = []
        self._called = False
        self._tokens = 0

    @property
    def reasoning_tokens(self) -> int:
        return releases.reasoning_tokens(self._parser, self._ids)

    def feed(self, output: CompletionOutput) -> Iterator[Told]:
        ids = list(output.token_ids)
        self._ids += ids
        self._tokens += len(ids)
        logprobs = None if self._top is None else token_logprobs(output, self._top)
        finished = output.finish_reason is not None
        delta = self._parser.parse_delta(
            delta_text=output.text,
            delta_token_ids=ids,
            request=self._request,
            prompt_token_ids=self._prompt,
            finished=finished,
        )
        if self._told and ids:
            yield TextDelta(self._index, "", None, self._counted(), tuple(ids))
        if delta is not None:
            if delta.reasoning:
                yield ReasoningDelta(self._index, delta.reasoning, self._counted())
            if delta.content or (logprobs and not delta.reasoning):
                yield TextDelta(self._index, delta.content or "", logprobs, self._counted())
            for call in delta.tool_calls or ():
                if call.index > 0 and not self._parallel:
                    continue
                self._called = True
                function = call.function
                yield ToolCallDelta(
                    self._index,
                    call.index,
                    (function.arguments or "") if function else "",
                    call.id,
                    function.name if function else None,
                    self._counted(),
                )
        if finished:
            reason = _reason(output)
            yield Finish(self._index, "tool_calls" if self._called and reason == "stop" else reason, self._counted())

    def _counted(self) -> int:
        tokens, self._tokens = self._tokens, 0
        return tokens


class ForcedCall:
    """The text of `source` is the arguments of one call to a function known beforehand."""

    def __init__(self, source: Choice, index: int, name: str) -> None:
        self._source = source
        self._index = index
        self._name: str | None = name

    @property
    def reasoning_tokens(self) -> int:
        return self._source.reasoning_tokens

    def feed(self, output: CompletionOutput) -> Iterator[Told]:
        for event in self._source.feed(output):
            if isinstance(event, TextDelta):
                if event.ids is not None:
                    yield TextDelta(event.index, "", None, 0, event.ids)
                yield self._piece(event.text, event.tokens)
            elif isinstance(event, Finish) and event.reason == "stop":
                yield Finish(event.index, "tool_calls", event.tokens)
            else:
                yield event

    def _piece(self, arguments: str, tokens: int) -> ToolCallDelta:
        name, self._name = self._name, None
        return ToolCallDelta(self._index, 0, arguments, call_id() if name else None, name, tokens)


class RequiredCall:
    """The text of `source` is `{"name": …, "arguments": {…}}`, as the grammar of `grammar.forced_schema` makes it."""

    HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,\s*"arguments"\s*:\s*')

    def __init__(self, source: Choice, index: int) -> None:
        self._source = source
        self._index = index
        self._buffer = ""
        self._named = False

    @property
    def reasoning_tokens(self) -> int:
        return self._source.reasoning_tokens

    def feed(self, output: CompletionOutput) -> Iterator[Told]:
        tokens = 0
        for event in self._source.feed(output):
            if isinstance(event, TextDelta):
                if event.ids is not None:
                    yield TextDelta(event.index, "", None, 0, event.ids)
                self._buffer += event.text
                tokens += event.tokens
                for piece in self._pieces(tokens):
                    tokens = 0
                    yield piece
            elif isinstance(event, Finish) and event.reason == "stop":
                yield Finish(event.index, "tool_calls", event.tokens + tokens)
            else:
                yield event

    def _pieces(self, tokens: int) -> Iterator[ToolCallDelta]:
        if not self._named:
            head = self.HEAD.match(self._buffer)
            if head is None:
                return
            self._named = True
            self._buffer = self._buffer[head.end() :]
            yield ToolCallDelta(self._index, 0, "", call_id(), head[1], tokens)
            tokens = 0
        # The envelope's own brace is the last one: hold back what may turn out to be it.
        safe = self._buffer.rstrip()
        safe = safe.removesuffix("}")
        if safe:
            self._buffer = self._buffer[len(safe) :]
            yield ToolCallDelta(self._index, 0, safe, tokens=tokens)


class Alike:
    """Several answers that are one: drawn greedily they would come out the same, so that they are drawn once.

    vLLM refuses to draw them (vllm/sampling_params.py, _verify_greedy_sampling).
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._choices = choices

    @property
    def answers(self) -> int:
        """How many answers each of the pieces is for."""
        return len(self._choices)

    @property
    def reasoning_tokens(self) -> int:
        return sum(choice.reasoning_tokens for choice in self._choices)

    def feed(self, output: CompletionOutput) -> Iterator[Told]:
        for choice in self._choices:
            yield from choice.feed(output)


def call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def token_logprobs(output: CompletionOutput, top: int) -> tuple[TokenLogprob, ...]:
    """The sampled tokens of this piece with their `top` likeliest alternatives."""
    pairs = zip(output.token_ids, output.logprobs or (), strict=False)
    return tuple(_ranked(token_id, alternatives, top) for token_id, alternatives in pairs)


def prompt_tokens(ids: Sequence[int], logprobs: Sequence[Any] | None, top: int | None) -> PromptTokens:
    """What was read. logprobs: as vLLM gives them, of each token but the first; top: alternatives; None for none."""
    if top is None:
        return PromptTokens(0, tuple(ids))
    known = {place: entry for place, entry in enumerate(logprobs or ()) if entry}
    told = (_ranked(token, known[place], top) if place in known else None for place, token in enumerate(ids))
    return PromptTokens(0, tuple(ids), tuple(told))


def _ranked(token_id: int, alternatives: Mapping[int, Any], top: int) -> TokenLogprob:
    """The token with the `top` likeliest at its place. alternatives: vLLM's, which hold the token itself too."""
    ranked = sorted(alternatives.items(), key=lambda entry: -entry[1].logprob)[:top]
    return _logprob(token_id, alternatives[token_id], tuple(_logprob(other, entry) for other, entry in ranked))


def _logprob(token_id: int, entry: Any, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    text = entry.decoded_token or ""
    # JSON has no infinity; the OpenAI API uses -9999 for "as good as impossible".
    return TokenLogprob(text, max(float(entry.logprob), -9999.0), tuple(text.encode()), top, token_id, entry.rank)


def _reason(output: CompletionOutput) -> FinishReason:
    reason = FINISH_REASONS.get(cast(Literal["stop"], output.finish_reason))
    if reason is None:  # "error", or "abort" that nobody here asked for
        raise EngineFailed
    return reason
