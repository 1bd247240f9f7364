"""What a fake language model answers: chats, completions, and the tokens of both."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from server.core import (
    ChatJob,
    CompletionJob,
    Detokenized,
    DetokenizeJob,
    Event,
    Finish,
    FinishReason,
    Job,
    PromptTokens,
    ReasoningDelta,
    Sampling,
    TextDelta,
    Tokenized,
    TokenizeJob,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from server.engines.fake.options import FakeOptions


def tokens_of(text: str) -> list[str]:
    """Words, each with the space before it; their concatenation is the text."""
    first, *others = text.split(" ")
    return [*([first] if first else []), *(f" {word}" for word in others)]


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _words(job: ChatJob) -> list[str]:
    return [word for message in job.messages for word in _text_of(message).split()]


def prompt_tokens(job: ChatJob) -> int:
    return sum(len(_text_of(message).split()) for message in job.messages)


def longest_prompt(job: ChatJob | CompletionJob) -> int:
    if isinstance(job, ChatJob):
        return prompt_tokens(job)
    return max(len(read_of(prompt)) for prompt in job.prompts)


def unknown_id(job: Job) -> int | None:
    """An id of the job's that is no character's code; halves of surrogate pairs are none."""
    prompts: Iterable[str | tuple[int, ...]] = ()
    if isinstance(job, CompletionJob):
        prompts = job.prompts
    elif isinstance(job, DetokenizeJob):
        prompts = (job.ids,)
    ids = (token for prompt in prompts if not isinstance(prompt, str) for token in prompt)
    return next((token for token in ids if token >= 0x110000 or 0xD800 <= token < 0xE000), None)


def read_of(prompt: str | tuple[int, ...]) -> list[str]:
    """A completion's prompt as tokens."""
    return tokens_of(prompt) if isinstance(prompt, str) else [chr(token) for token in prompt]


def completion(job: CompletionJob, options: FakeOptions) -> Iterator[Event]:
    tells = job.echo or job.token_ids or job.prompt_logprobs is not None
    counts = [count for count in (job.prompt_logprobs, job.top_logprobs if job.echo else None) if count is not None]
    generated = 0
    for number, prompt in enumerate(job.prompts):
        read = read_of(prompt)
        if tells:
            ids = tuple(ord(token[-1]) for token in read) if isinstance(prompt, str) else prompt
            logprobs = [_logprob(token, max(counts)) for token in read] if counts else None
            places = None if logprobs is None else (None, *logprobs[1:])
            echoed = ("".join(read), tuple(read)) if job.echo else (None, None)
            yield PromptTokens(number, ids, places, *echoed)
        answers = [_answer(job, options, index, "".join(read)) for index in range(job.n)]
        for index, (tokens, reason) in enumerate(answers):
            for token in tokens:
                top = job.top_logprobs
                logprob = None if top is None else (_logprob(token, top, -0.25 - index),)
                drawn = (ord(token[-1]),) if job.token_ids else None
                yield TextDelta(number * job.n + index, token, logprob, 1, drawn)
            yield Finish(number * job.n + index, reason)
            generated += len(tokens)
    yield Usage(prompt_tokens=sum(len(read_of(prompt)) for prompt in job.prompts), completion_tokens=generated)


def tokenization(job: TokenizeJob | DetokenizeJob, options: FakeOptions) -> Iterator[Event]:
    """A text's tokens are characters, from which it can be made again; a chat's are words, as its usage counts them."""
    if isinstance(job, DetokenizeJob):
        yield Detokenized("".join(map(chr, job.ids)))
    else:
        of = job.of
        if isinstance(of, ChatJob):
            words = _words(of)
            yield Tokenized(tuple(map(token_id, words)), options.context, tuple(words) if job.strings else None)
        else:
            text = of.prompts[0]
            assert isinstance(text, str)
            yield Tokenized(tuple(map(ord, text)), options.context, tuple(text) if job.strings else None)
    yield Usage()


def chat(job: ChatJob, options: FakeOptions) -> Iterator[Event]:
    prompt = prompt_tokens(job)
    if job.token_ids or job.prompt_logprobs is not None:
        yield _prompt_read(job)
    call = _call(job, options)
    if call is not None:
        arguments = tokens_of(call[1])
        for index in range(job.n):
            yield ToolCallDelta(index, 0, id=f"call_fake{index}", name=call[0])
            for piece in arguments:
                yield ToolCallDelta(index, 0, arguments=piece, tokens=1)
            yield Finish(index, "tool_calls")
        yield Usage(prompt_tokens=prompt, completion_tokens=job.n * len(arguments))
        return
    reasoning = tokens_of(options.reasoning)
    for index in range(job.n):
        for token in reasoning:
            yield ReasoningDelta(index, token, 1)
    asked = _text_of(job.messages[-1])
    answers = [_answer(job, options, index, asked) for index in range(job.n)]
    for place in range(max(len(tokens) for tokens, _ in answers)):  # the choices interleaved, as in a batch
        for index, (tokens, _) in enumerate(answers):
            if place < len(tokens):
                ids = (token_id(tokens[place]),) if job.token_ids else None
                yield TextDelta(index, tokens[place], _logprobs(job, tokens[place]), 1, ids)
    for index, (_, reason) in enumerate(answers):
        yield Finish(index, reason)
    yield Usage(
        prompt_tokens=prompt,
        completion_tokens=sum(len(tokens) + len(reasoning) for tokens, _ in answers),
        reasoning_tokens=job.n * len(reasoning),
    )


def _call(job: ChatJob, options: FakeOptions) -> tuple[str, str] | None:
    if not job.tools or job.tool_choice == "none":
        return None
    script = options.call or {}
    arguments = json.dumps(script.get("arguments", {}))
    if job.forced_tool is not None:
        return job.forced_tool, arguments
    if job.tool_choice == "required":
        return script.get("name", job.tools[0].name), arguments
    return (script["name"], arguments) if script else None


def _answer(job: Sampling, options: FakeOptions, index: int, asked: str) -> tuple[list[str], FinishReason]:
    text = asked if options.echo else options.text
    for key, reply in options.replies.items():
        if key in asked:
            text = reply if isinstance(reply, str) else reply[index % len(reply)]
    if job.output_schema is not None:
        declared = job.output_schema.get("properties")
        text = json.dumps(dict.fromkeys(declared if isinstance(declared, dict) else (), text))
    elif job.constraint is not None and job.constraint.kind == "choice":
        text = job.constraint.value[index % len(job.constraint.value)]
    for stop in job.stop:
        text = text.partition(stop)[0]
    tokens = tokens_of(text)
    if options.tokens is not None and tokens:
        tokens = (tokens * (options.tokens // len(tokens) + 1))[: options.tokens]
    if job.max_tokens is not None and len(tokens) > job.max_tokens:
        return tokens[: job.max_tokens], "length"
    return tokens, "stop"


def _logprobs(job: ChatJob, token: str) -> tuple[TokenLogprob, ...] | None:
    if job.top_logprobs is None:
        return None
    return (_likeliest(token, job.top_logprobs),)


def _likeliest(token: str, top: int) -> TokenLogprob:
    """The token as the likeliest one, with made-up others after it."""
    alternatives = [_entry(token, -0.25, 1), *(_entry(f"~{n}", -2.0 - n, n + 2) for n in range(top - 1))]
    return replace(alternatives[0], top=tuple(alternatives[:top]))


def _entry(token: str, logprob: float, rank: int) -> TokenLogprob:
    return TokenLogprob(token, logprob, tuple(token.encode()), id=token_id(token), rank=rank)


def token_id(token: str) -> int:
    """The fake's vocabulary: a number for each text."""
    return crc32(token.encode()) % 50_000


def _prompt_read(job: ChatJob) -> PromptTokens:
    words = _words(job)
    logprobs = None
    if job.prompt_logprobs is not None:
        logprobs = (None, *(_likeliest(word, job.prompt_logprobs) for word in words[1:]))
    return PromptTokens(0, tuple(map(token_id, words)), logprobs)


def _logprob(token: str, top: int, logprob: float = -0.25) -> TokenLogprob:
    itself = TokenLogprob(token, logprob, tuple(token.encode()), id=ord(token[-1]), rank=1)
    others = [
        TokenLogprob(f"~{n}", -2.0 - n, tuple(f"~{n}".encode()), id=1_000_000 + n, rank=n + 2) for n in range(top - 1)
    ]
    return replace(itself, top=(itself, *others)[:top])
