"""Engines without models, for tests of the whole API and for benchmarks of the front end.

A fake answers deterministically by a script, honours the job (limits, stops, forced calls, sizes), counts what runs
and what was cut short, and fails on demand. Nothing sleeps: a test that wants a slow engine closes its `gate`.
"""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.core import (
    Accepted,
    AudioChunk,
    ChatJob,
    Event,
    Finish,
    FinishReason,
    ImageJob,
    Job,
    Picture,
    ReasoningDelta,
    Segment,
    SpeechJob,
    Task,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
    Word,
)
from server.engines.base import Footprint
from server.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, ModelUnavailable


class Gate:
    """Lets events pass: all of them (open, as at first), none (closed), or a given number."""

    def __init__(self) -> None:
        self._open = True
        self._passes = 0
        self._changed = asyncio.Event()
        self.waiting = 0

    def close(self) -> None:
        """From now on every event waits."""
        self._open = False

    def open(self) -> None:
        """Let everything pass."""
        self._open = True
        self._tell()

    def let(self, events: int) -> None:
        """Let `events` more pass through the closed gate."""
        self._passes += events
        self._tell()

    async def until_waiting(self, jobs: int = 1) -> None:
        """Return when at least `jobs` jobs wait here."""
        while self.waiting < jobs:
            await self._changed.wait()

    async def through(self) -> None:
        """Wait for the gate. Called before every event."""
        while not self._open:
            if self._passes:
                self._passes -= 1
                return
            self.waiting += 1
            self._tell()
            try:
                await self._changed.wait()
            finally:
                self.waiting -= 1

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """`options` of an `engine: fake` model config; all of them may be left out.

    text: the answer to chats and the transcript. A token is a word with the space before it.
    echo: answer a chat with its last user message instead.
    tokens: repeat the answer up to this many tokens, for benchmarks.
    reasoning: text told as reasoning before a chat's answer.
    call: {"name", "arguments"} that a chat with tools ends in, unless the job forces another tool.
    context: the context length in tokens; longer prompts are refused.
    language, duration: of transcribed audio; duration in seconds.
    voices: voice names that exist; empty for all.
    fail_start: `start` raises ModelUnavailable with this text.
    refuse: jobs are refused with this text before `Accepted`, as a bad request.
    fail: the engine reports EngineFailed before `Accepted`, and lives on.
    die_after: the engine dies after this many events of a job (0: right after `Accepted`).
    bug_after: a programming error is raised after this many events of a job.
    host, gpu: bytes it claims to hold once started.
    """

    text: str = "Hello from the fake engine."
    echo: bool = False
    tokens: int | None = None
    reasoning: str = ""
    call: Mapping[str, Any] | None = None
    context: int = 4096
    language: str = "en"
    duration: float = 2.0
    voices: tuple[str, ...] = ()
    fail_start: str | None = None
    refuse: str | None = None
    fail: bool = False
    die_after: int | None = None
    bug_after: int | None = None
    host: int = 0
    gpu: int = 0


class FakeEngine:
    """An Engine (server/engines/base.py) for any one task. `started`, `finished` and `cut_short` count its jobs."""

    def __init__(self, task: Task, options: Mapping[str, Any] | None = None) -> None:
        self._task = task
        self.options = FakeOptions(**(options or {}))
        self.gate = Gate()
        self.jobs: list[Job] = []
        self.started = 0
        self.finished = 0
        self.cut_short = 0
        self._running = 0
        self._alive = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        if self.options.fail_start is not None:
            raise ModelUnavailable(self.options.fail_start)
        self._alive = True

    async def stop(self) -> None:
        self._alive = False

    def die(self) -> None:
        """As if the process had been killed: running jobs fail at their next event."""
        self._alive = False

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def running(self) -> int:
        return self._running

    async def until_idle(self) -> None:
        """Return when no job runs."""
        await self._idle.wait()

    def footprint(self) -> Footprint:
        return Footprint(self.options.host, self.options.gpu) if self._alive else Footprint()

    async def run(self, job: Job) -> AsyncGenerator[Event, None]:
        if not self._alive:
            raise EngineFailed
        self._check(job)
        self.jobs.append(job)
        self.started += 1
        self._running += 1
        self._idle.clear()
        whole = False
        try:
            if self.options.fail:
                raise EngineFailed
            for number, event in enumerate(_events(job, self.options)):
                await self.gate.through()
                self._maybe_break(number - 1)
                yield event
            whole = True
        finally:
            self._running -= 1
            if whole:
                self.finished += 1
            else:
                self.cut_short += 1
            if self._running == 0:
                self._idle.set()

    def _check(self, job: Job) -> None:
        if job.task is not self._task:
            raise InvalidRequest(f"This model does {self._task}, not {job.task}.", param="model")
        if self.options.refuse is not None:
            raise InvalidRequest(self.options.refuse)
        if isinstance(job, ChatJob) and _prompt_tokens(job) > self.options.context:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self.options.context} tokens.", param="messages"
            )
        if isinstance(job, TranscriptionJob) and not job.audio:
            raise InvalidRequest("The file is empty.", param="file")
        if isinstance(job, SpeechJob) and self.options.voices and job.voice not in self.options.voices:
            raise InvalidRequest(f"Unknown voice. Voices: {', '.join(self.options.voices)}.", param="voice")

    def _maybe_break(self, events: int) -> None:
        """events: how many were yielded after `Accepted`."""
        if self.options.die_after is not None and events >= self.options.die_after:
            self._alive = False
        if not self._alive:
            raise EngineFailed
        if self.options.bug_after is not None and events >= self.options.bug_after:
            raise RuntimeError("a bug in the fake engine, /with/a/path")


def _events(job: Job, options: FakeOptions) -> Iterator[Event]:
    match job:
        case ChatJob():
            return _chat(job, options)
        case TranscriptionJob():
            return _transcription(job, options)
        case SpeechJob():
            return _speech(job)
        case ImageJob():
            return _images(job)


def _tokens(text: str) -> list[str]:
    """Words, each with the space before it; their concatenation is the text."""
    return [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))] if text else []


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _prompt_tokens(job: ChatJob) -> int:
    return sum(len(_text_of(message).split()) for message in job.messages)


def _chat(job: ChatJob, options: FakeOptions) -> Iterator[Event]:
    prompt = _prompt_tokens(job)
    yield Accepted(prompt_tokens=prompt)
    call = _call(job, options)
    if call is not None:
        arguments = _tokens(call[1])
        for index in range(job.n):
            yield ToolCallDelta(index, 0, id=f"call_fake{index}", name=call[0])
            for piece in arguments:
                yield ToolCallDelta(index, 0, arguments=piece)
            yield Finish(index, "stop" if job.forced_tool else "tool_calls")
        yield Usage(prompt_tokens=prompt, completion_tokens=job.n * len(arguments))
        return
    reasoning = _tokens(options.reasoning)
    for index in range(job.n):
        for token in reasoning:
            yield ReasoningDelta(index, token)
    answer, reason = _answer(job, options)
    for token in answer:  # the choices interleaved, as in a batch
        for index in range(job.n):
            yield TextDelta(index, token, _logprobs(job, token))
    for index in range(job.n):
        yield Finish(index, reason)
    yield Usage(
        prompt_tokens=prompt,
        completion_tokens=job.n * (len(answer) + len(reasoning)),
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


def _answer(job: ChatJob, options: FakeOptions) -> tuple[list[str], FinishReason]:
    text = _text_of(job.messages[-1]) if options.echo else options.text
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
    yield Accepted()
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
    yield Accepted()
    for token in _tokens(job.text):
        yield AudioChunk(token.encode())
    yield Usage(characters=len(job.text))


def _images(job: ImageJob) -> Iterator[Event]:
    yield Accepted(prompt_tokens=len(job.prompt.split()))
    width, height = job.width or 64, job.height or 64
    seed = job.seed or 0
    for index in range(job.n):
        for partial in range(job.partial_images):
            yield Picture(index, _picture(job, width, height, seed + index), width, height, partial=partial)
        yield Picture(index, _picture(job, width, height, seed + index), width, height, seed=seed + index)
    yield Usage(prompt_tokens=len(job.prompt.split()), images=job.n)


def _picture(job: ImageJob, width: int, height: int, seed: int) -> bytes:
    """One flat colour, which the seed chooses."""
    from PIL import Image

    colour = (seed * 67 % 256, seed * 131 % 256, 128)
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, job.format)
    return buffer.getvalue()
