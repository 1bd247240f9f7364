"""Streamed chats. POST /v1/chat/completions with `stream: true`."""

from typing import Any

from openai.types.chat import ChatCompletionChunk

from tests.conformance.asks import (
    QUESTION,
    chat,
    chat_body,
    completed,
    datas,
    finishes,
    joined,
    read_chunks,
    streamed,
    text,
)
from tests.conformance.case import Failed, case
from tests.conformance.expect import equal, ok, that
from tests.conformance.target import Target

USAGE = {"include_usage": True}


def plain(target: Target) -> bytes:
    """One stream that serves several cases."""
    return target.keep("a streamed chat", lambda: ok(chat(target, stream=True)).raw)


def kept(target: Target) -> list[ChatCompletionChunk]:
    raw = plain(target)
    return [
        target.strict(ChatCompletionChunk, line.removeprefix(b"data: "), "a chunk")
        for line in raw.split(b"\n\n")
        if line.startswith(b"data: {")
    ]


@case("OpenAI", needs="chat")
def framing(target: Target) -> None:
    """`text/event-stream`; each event is one `data: ` line and a blank line; `data: [DONE]` is last, once."""
    datas(chat(target, stream=True, max_tokens=3))


@case("OpenAI", needs="chat")
def form(target: Target) -> None:
    """Every event but the last is a `chat.completion.chunk` as the SDK declares it."""
    that(len(kept(target)) > 2, f"the stream has {len(kept(target))} chunks")


@case("OpenAI", needs="chat")
def same_head(target: Target) -> None:
    """id, created and model are the same in every chunk."""
    heads = {(chunk.id, chunk.created, chunk.model) for chunk in kept(target)}
    equal(len(heads), 1, "the number of different heads")
    name, _, model = heads.pop()
    that(name.startswith("chatcmpl-"), f"the id is {name}")
    equal(model, target.model("chat"), "model")


@case("OpenAI", needs="chat")
def role_first(target: Target) -> None:
    """The first chunk has the role `assistant`, no later one has a role."""
    chunks = kept(target)
    equal(chunks[0].choices[0].delta.role, "assistant", "the first chunk's role")
    that(all(choice.delta.role is None for chunk in chunks[1:] for choice in chunk.choices), "a later chunk has a role")


@case("OpenAI", needs="chat")
def finish_once(target: Target) -> None:
    """One chunk has a finish_reason, the last one that has a choice; its delta is empty."""
    chunks = kept(target)
    equal(len(finishes(chunks)), 1, "the number of finish reasons")
    last = [chunk for chunk in chunks if chunk.choices][-1].choices[0]
    that(last.finish_reason, "the last chunk has no finish_reason")
    that(not last.delta.content, f"the last chunk has text: {last.delta.content!r}")


@case("OpenAI, reports", needs="chat")
def no_empty_choices(target: Target) -> None:
    """No chunk has empty choices, and none has usage, unless usage was asked for."""
    for chunk in kept(target):
        that(chunk.choices, "a chunk without choices")
        that(chunk.usage is None, "a chunk with usage")


@case("OpenAI", needs="chat")
def usage(target: Target) -> None:
    """`include_usage`: the last chunk has `choices: []` and the usage; every other one has `usage: null`."""
    answer = chat(target, stream=True, stream_options=USAGE)
    chunks = read_chunks(target, answer)
    equal(chunks[-1].choices, [], "the last chunk's choices")
    found = chunks[-1].usage
    if found is None:
        raise Failed("the last chunk has no usage")
    equal(found.total_tokens, found.prompt_tokens + found.completion_tokens, "total_tokens")
    that(
        all(chunk.usage is None and chunk.choices for chunk in chunks[:-1]), "an earlier chunk has usage or no choices"
    )
    for data in datas(answer)[:-1]:
        that('"usage":null' in data.replace(" ", ""), f"a chunk without `usage: null`: {data[:80]}")


@case("OpenAI", needs="chat", alone=True)
def same_usage(target: Target) -> None:
    """A streamed answer's usage is that of the whole answer."""
    found = streamed(target, stream_options=USAGE)[-1].usage
    whole = completed(target).usage
    equal(
        found and (found.prompt_tokens, found.completion_tokens),
        whole and (whole.prompt_tokens, whole.completion_tokens),
        "the usage",
    )


@case("vLLM", needs="chat")
def continuous_usage(target: Target) -> None:
    """`continuous_usage_stats`: every chunk has the usage so far, which grows up to the last."""
    chunks = streamed(target, stream_options={**USAGE, "continuous_usage_stats": True})
    counts = [chunk.usage.completion_tokens if chunk.usage else -1 for chunk in chunks]
    that(-1 not in counts, "a chunk without usage")
    equal(counts, sorted(counts), "the completion tokens so far")


@case("OpenAI", needs="chat")
def stream_options(target: Target) -> None:
    """`include_usage: false`, `include_obfuscation` and null options are taken."""
    for options in ({"include_usage": False}, {"include_obfuscation": False}, {}, None):
        chunks = streamed(target, stream_options=options, max_tokens=2)
        that(all(chunk.choices for chunk in chunks), f"a chunk without choices with stream_options {options}")


@case("OpenAI", needs="chat", alone=True)
def same_text(target: Target) -> None:
    """The greedy text in pieces is the greedy text as a whole."""
    equal(joined(streamed(target, max_tokens=24)), text(completed(target, max_tokens=24)), "the text")


@case("OpenAI", needs="chat")
def pieces(target: Target) -> None:
    """Text comes in pieces, about one a token."""
    chunks = streamed(target, max_tokens=64, ignore_eos=True)
    that(sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 3, "few pieces")


@case("OpenAI", needs="chat")
def choices(target: Target) -> None:
    """`n: 2`: each choice has its own index, role and finish_reason."""
    chunks = streamed(target, n=2, temperature=1, max_tokens=4)
    equal({choice.index for chunk in chunks for choice in chunk.choices}, {0, 1}, "the indices")
    for index in (0, 1):
        equal(len(finishes(chunks, index)), 1, f"the number of finish reasons of choice {index}")
        own = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        equal([choice.delta.role for choice in own].count("assistant"), 1, f"the number of roles of choice {index}")
        equal(own[0].delta.role, "assistant", f"the first role of choice {index}")


@case("OpenAI", needs="chat")
def length(target: Target) -> None:
    """The limit ends a stream with `length`."""
    chunks = streamed(target, "Count from one to a hundred in words.", max_tokens=4)
    equal(finishes(chunks), ["length"], "the finish reasons")


@case("OpenAI", needs="chat", alone=True)
def stop_string(target: Target) -> None:
    """No piece of a stop string over several tokens is sent before it is known whether it stops."""
    whole = text(completed(target, max_tokens=20))
    stop = " ".join(whole.split()[2:4])
    chunks = streamed(target, max_tokens=20, stop=stop)
    found = joined(chunks)
    equal(found, whole.partition(stop)[0], "the text before the stop string")
    equal(finishes(chunks), ["stop"], "the finish reasons")


@case("OpenAI", needs="chat")
def logprobs(target: Target) -> None:
    """Logprobs come with their tokens; their bytes together are the text."""
    chunks = streamed(target, logprobs=True, top_logprobs=2, max_tokens=6)
    tokens = [
        token
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs is not None
        for token in choice.logprobs.content or ()
    ]
    that(tokens, "no logprobs")
    equal(
        b"".join(bytes(one.bytes or ()) for one in tokens).decode(errors="replace"), joined(chunks), "the tokens' bytes"
    )
    that(all(len(one.top_logprobs) == 2 for one in tokens), "a token without its two alternatives")


@case("OpenAI", needs="chat")
def unicode(target: Target) -> None:
    """No piece has half of a character: what is streamed is whole characters."""
    found = joined(streamed(target, "Repeat: 🌍🌍🌍 世界", temperature=1.5, seed=3, max_tokens=24))
    that("\ufffd" not in found, f"the text has U+FFFD: {found!r}")


@case("reports", needs="chat", alone=True)
def first_chunk(target: Target) -> None:
    """The first chunk comes with the first token, not before the prompt is read: load generators measure by it."""
    story = " ".join(f"{number} {word}" for number, word in enumerate(["tree", "stone", "river"] * 250))
    times = target.timed("/chat/completions", chat_body(target, f"{story}\n{QUESTION}", stream=True, max_tokens=2))
    that(len(times) > 2, f"the stream has {len(times)} events")
    that(
        times[0] > times[1] / 2,
        f"the first chunk came {times[1] / max(times[0], 1e-3):.0f} times sooner than the second",
    )


@case("OpenAI, reports", needs="chat")
def reasoning_names(target: Target) -> None:
    """Where a chunk has `reasoning_content`, it has `reasoning` too, and the same text."""
    for chunk in kept(target):
        for choice in chunk.choices:
            extra: dict[str, Any] = choice.delta.model_extra or {}
            if extra.get("reasoning_content") or extra.get("reasoning"):
                equal(extra.get("reasoning"), extra.get("reasoning_content"), "reasoning")


@case("reports, sagehold", needs="chat")
def no_limit_by_surprise(target: Target) -> None:
    """Without a limit an answer is not cut at 256 tokens: the room that is left is the limit."""
    body = chat_body(target, "Count from one to a thousand.", max_tokens=..., stream=True, ignore_eos=True)
    found = len(target.timed("/chat/completions", body, most=270))
    that(found == 270, f"the stream ended after {found} events")
