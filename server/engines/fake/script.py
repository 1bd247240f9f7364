"""What a fake engine answers: deterministic, and true to the job (limits, stops, forced calls, sizes)."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.core import (
    AudioChunk,
    ChatJob,
    Event,
    Facts,
    Finish,
    FinishReason,
    ImageJob,
    Job,
    Picture,
    ReasoningDelta,
    Segment,
    SpeechJob,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
    Word,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """`options` of an `engine: fake` model config; all of them may be left out.

    text: the answer to chats and the transcript. A token is a word with the space before it.
    echo: answer a chat with its last user message instead.
    replies: what a chat answers instead where its last user message holds the key; of a list, choice i gets entry i.
    tokens: repeat the answer up to this many tokens, for benchmarks.
    reasoning: text that comes as reasoning before a chat's answer.
    call: {"name", "arguments"} that a chat with tools ends in, unless the job forces another tool.
    context: the context length in tokens; longer prompts are refused.
    language, duration: of transcribed audio; duration in seconds.
    scores: of pictures whose job asks for it, one after the other, again and again; empty for none.
    voices: voice names that exist; empty for all.
    fail_start: `start` raises ModelUnavailable with this text.
    refuse: jobs are refused with this text before they are read, as a bad request.
    fail: the engine reports EngineFailed before they are read, and lives on.
    die_after: the engine dies after this many events of a job (0: as soon as it runs).
    bug_after: a programming error is raised after this many events of a job.
    pause: seconds that a job waits after its first event, as a model that works; the work costs no processor time.
    host, gpu: bytes it claims to hold once started.
    """

    text: str = "Hello from the fake engine."
    echo: bool = False
    replies: Mapping[str, Any] = field(default_factory=dict)
    tokens: int | None = None
    reasoning: str = ""
    call: Mapping[str, Any] | None = None
    context: int = 4096
    language: str = "en"
    duration: float = 2.0
    scores: tuple[float, ...] = ()
    voices: tuple[str, ...] = ()
    fail_start: str | None = None
    refuse: str | None = None
    fail: bool = False
    die_after: int | None = None
    bug_after: int | None = None
    pause: float = 0.0
    host: int = 0
    gpu: int = 0


def facts_of(job: Job, options: FakeOptions) -> Facts:
    """What the engine says of a job that it has read."""
    match job:
        case ChatJob():
            tokens = prompt_tokens(job)
            left = max(options.context - tokens, 1)
            return Facts(prompt_tokens=tokens, room=left if job.max_tokens is None else min(job.max_tokens, left))
        case TranscriptionJob():
            return Facts(audio_seconds=options.duration)
        case SpeechJob():
            return Facts()
        case ImageJob():
            return Facts(prompt_tokens=len(job.prompt.split()))


def events_of(job: Job, options: FakeOptions) -> Iterator[Event]:
    """The events of a job, `Usage` included. The same job has the same events."""
    match job:
        case ChatJob():
            return _chat(job, options)
        case TranscriptionJob():
            return _transcription(job, options)
        case SpeechJob():
            return _speech(job)
        case ImageJob():
            return _images(job, options)


def _tokens(text: str) -> list[str]:
    """Words, each with the space before it; their concatenation is the text."""
    return [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))] if text else []


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def prompt_tokens(job: ChatJob) -> int:
    return sum(len(_text_of(message).split()) for message in job.messages)


def _chat(job: ChatJob, options: FakeOptions) -> Iterator[Event]:
    prompt = prompt_tokens(job)
    call = _call(job, options)
    if call is not None:
        arguments = _tokens(call[1])
        for index in range(job.n):
            yield ToolCallDelta(index, 0, id=f"call_fake{index}", name=call[0])
            for piece in arguments:
                yield ToolCallDelta(index, 0, arguments=piece, tokens=1)
            yield Finish(index, "tool_calls")
        yield Usage(prompt_tokens=prompt, completion_tokens=job.n * len(arguments))
        return
    reasoning = _tokens(options.reasoning)
    for index in range(job.n):
        for token in reasoning:
            yield ReasoningDelta(index, token, 1)
    answers = [_answer(job, options, index) for index in range(job.n)]
    for place in range(max(len(tokens) for tokens, _ in answers)):  # the choices interleaved, as in a batch
        for index, (tokens, _) in enumerate(answers):
            if place < len(tokens):
                yield TextDelta(index, tokens[place], _logprobs(job, tokens[place]), 1)
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


def _answer(job: ChatJob, options: FakeOptions, index: int) -> tuple[list[str], FinishReason]:
    asked = _text_of(job.messages[-1])
    text = asked if options.echo else options.text
    for key, reply in options.replies.items():
        if key in asked:
            text = reply if isinstance(reply, str) else reply[index % len(reply)]
    if job.output_schema is not None:
        text = json.dumps(dict.fromkeys(job.output_schema.get("properties", {}), text))
    for stop in job.stop:
        text = text.partition(stop)[0]
    tokens = _tokens(text)
    if options.tokens is not None and tokens:
        tokens = (tokens * (options.tokens // len(tokens) + 1))[: options.tokens]
    if job.max_tokens is not None and len(tokens) > job.max_tokens:
        return tokens[: job.max_tokens], "length"
    return tokens, "stop"


def _logprobs(job: ChatJob, token: str) -> tuple[TokenLogprob, ...] | None:
    if job.top_logprobs is None:
        return None
    alternatives = [TokenLogprob(token, -0.25, tuple(token.encode()))]
    alternatives += [TokenLogprob(f"~{n}", -2.0 - n, tuple(f"~{n}".encode())) for n in range(job.top_logprobs - 1)]
    return (TokenLogprob(token, -0.25, tuple(token.encode()), tuple(alternatives[: job.top_logprobs])),)


def _transcription(job: TranscriptionJob, options: FakeOptions) -> Iterator[Event]:
    yield TranscriptInfo("en" if job.translate else job.language or options.language, 0.99, options.duration)
    sentences = [f"{sentence}." for part in options.text.split(".") if (sentence := part.strip())]
    length = options.duration / max(len(sentences), 1)
    for number, sentence in enumerate(sentences):
        start = number * length
        words = sentence.split()
        step = length / max(len(words), 1)
        yield Segment(
            id=number,
            seek=int(start * 100),
            start=start,
            end=start + length,
            text=f" {sentence}",
            tokens=tuple(range(len(words))),
            temperature=job.temperature or 0.0,
            avg_logprob=-0.25,
            compression_ratio=1.0,
            no_speech_prob=0.01,
            words=tuple(
                Word(f" {word}", start + place * step, start + (place + 1) * step) for place, word in enumerate(words)
            )
            if job.words
            else (),
        )
    yield Usage(audio_seconds=options.duration, completion_tokens=len(options.text.split()))


def _speech(job: SpeechJob) -> Iterator[Event]:
    """Not audio: each chunk is a word of the text, so that a test can tell what was sent when."""
    for token in _tokens(job.text):
        yield AudioChunk(token.encode(), len(token))
    yield Usage(characters=len(job.text))


def _images(job: ImageJob, options: FakeOptions) -> Iterator[Event]:
    width, height = job.width or 64, job.height or 64
    seed = job.seed or 0
    for index in range(job.n):
        for partial in range(job.partial_images):
            yield Picture(index, _picture(job, width, height, seed, index), width, height, partial=partial)
        score = options.scores[index % len(options.scores)] if job.score and options.scores else None
        data = _picture(job, width, height, seed, index)
        yield Picture(index, data, width, height, seed=seed + index, score=score)
    yield Usage(prompt_tokens=len(job.prompt.split()), images=job.n)


def _picture(job: ImageJob, width: int, height: int, seed: int, index: int) -> bytes:
    """One flat colour, which the seed chooses; that of the start, with all of its blue, where there is one."""
    from PIL import Image

    colour = ((seed + index) * 67 % 256, (seed + index) * 131 % 256, 128)
    if job.starts:
        red, green, _ = Image.open(io.BytesIO(job.starts[index])).resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        colour = (red, green, 255)
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, job.format)
    return buffer.getvalue()
