"""What a fake engine answers: deterministic, and true to the job (limits, stops, forced calls, sizes)."""

import array
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from server.core import (
    AudioChunk,
    ChatJob,
    CompletionJob,
    Detokenized,
    DetokenizeJob,
    EmbeddingJob,
    Embeddings,
    Event,
    Facts,
    Finish,
    FinishReason,
    ImageJob,
    Job,
    Picture,
    PromptTokens,
    ReasoningDelta,
    Sampling,
    ScoreJob,
    Scores,
    Segment,
    SpeechJob,
    TextDelta,
    Tokenized,
    TokenizeJob,
    TokenLogprob,
    ToolCallDelta,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
    Word,
)
from server.core.events import ScoreMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """`options` of an `engine: fake` model config; all of them may be left out.

    text: the answer to chats and completions, and the transcript. A token is a word with the space before it; among
      token ids, it is a character, and its id the character's code.
    echo: answer a chat with its last user message, a completion with its prompt, instead.
    replies: what is answered instead where that message or prompt holds the key; of a list, choice i gets entry i.
    fim: whether completions may have a suffix.
    tokens: repeat the answer up to this many tokens, for benchmarks.
    reasoning: text that comes as reasoning before a chat's answer.
    call: {"name", "arguments"} that a chat with tools ends in, unless the job forces another tool.
    context: the context length in tokens; longer prompts are refused.
    language, duration: of transcribed audio; duration in seconds.
    scores: of pictures whose job asks for it, one after the other, again and again; empty for none.
    dimensions: of the vectors of embedded texts. method: of scores.
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
    fim: bool = False
    tokens: int | None = None
    reasoning: str = ""
    call: Mapping[str, Any] | None = None
    context: int = 4096
    language: str = "en"
    duration: float = 2.0
    scores: tuple[float, ...] = ()
    dimensions: int = 8
    method: ScoreMethod = "embedding"
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
        case CompletionJob():
            counts = [len(_read(prompt)) for prompt in job.prompts]
            left = max(options.context - min(counts), 1)
            room = left if job.max_tokens is None else min(job.max_tokens, left)
            return Facts(prompt_tokens=sum(counts), room=room)
        case TokenizeJob() | DetokenizeJob():
            return Facts()
        case TranscriptionJob():
            return Facts(audio_seconds=options.duration)
        case SpeechJob():
            return Facts()
        case ImageJob():
            return Facts(prompt_tokens=len(job.prompt.split()))
        case EmbeddingJob():
            return Facts(
                prompt_tokens=sum(len(one.split()) if isinstance(one, str) else len(one) for one in job.inputs)
            )
        case ScoreJob():
            return Facts(prompt_tokens=sum(len(text.split()) for text in job.queries + job.documents))


def events_of(job: Job, options: FakeOptions) -> Iterator[Event]:
    """The events of a job, `Usage` included. The same job has the same events."""
    match job:
        case ChatJob():
            return _chat(job, options)
        case CompletionJob():
            return _completion(job, options)
        case TokenizeJob() | DetokenizeJob():
            return _tokenization(job, options)
        case TranscriptionJob():
            return _transcription(job, options)
        case SpeechJob():
            return _speech(job)
        case ImageJob():
            return _images(job, options)
        case EmbeddingJob():
            return _embeddings(job, options)
        case ScoreJob():
            return _scores(job, options)


def _tokens(text: str) -> list[str]:
    """Words, each with the space before it; their concatenation is the text."""
    first, *others = text.split(" ")
    return [*([first] if first else []), *(f" {word}" for word in others)]


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def prompt_tokens(job: ChatJob) -> int:
    return sum(len(_text_of(message).split()) for message in job.messages)


def longest_prompt(job: ChatJob | CompletionJob) -> int:
    if isinstance(job, ChatJob):
        return prompt_tokens(job)
    return max(len(_read(prompt)) for prompt in job.prompts)


def unknown_id(job: Job) -> int | None:
    """An id of the job's that is no character's code; halves of surrogate pairs are none."""
    prompts: Iterable[str | tuple[int, ...]] = ()
    if isinstance(job, CompletionJob):
        prompts = job.prompts
    elif isinstance(job, DetokenizeJob):
        prompts = (job.ids,)
    ids = (token for prompt in prompts if not isinstance(prompt, str) for token in prompt)
    return next((token for token in ids if token >= 0x110000 or 0xD800 <= token < 0xE000), None)


def _read(prompt: str | tuple[int, ...]) -> list[str]:
    """A completion's prompt as tokens."""
    return _tokens(prompt) if isinstance(prompt, str) else [chr(token) for token in prompt]


def _completion(job: CompletionJob, options: FakeOptions) -> Iterator[Event]:
    tells = job.echo or job.token_ids or job.prompt_logprobs is not None
    counts = [count for count in (job.prompt_logprobs, job.top_logprobs if job.echo else None) if count is not None]
    generated = 0
    for number, prompt in enumerate(job.prompts):
        read = _read(prompt)
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
    yield Usage(prompt_tokens=sum(len(_read(prompt)) for prompt in job.prompts), completion_tokens=generated)


def _tokenization(job: TokenizeJob | DetokenizeJob, options: FakeOptions) -> Iterator[Event]:
    if isinstance(job, DetokenizeJob):
        yield Detokenized("".join(map(chr, job.ids)))
    else:
        of = job.of
        text = "".join(_text_of(message) for message in of.messages) if isinstance(of, ChatJob) else of.prompts[0]
        assert isinstance(text, str)
        yield Tokenized(tuple(map(ord, text)), options.context, tuple(text) if job.strings else None)
    yield Usage()


def _chat(job: ChatJob, options: FakeOptions) -> Iterator[Event]:
    prompt = prompt_tokens(job)
    if job.token_ids or job.prompt_logprobs is not None:
        yield _prompt_read(job)
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
    tokens = _tokens(text)
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
    words = [word for message in job.messages for word in _text_of(message).split()]
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
    own = job.start_size or (64, 64)
    width, height = job.width or own[0], job.height or own[1]
    seed = job.seed or 0
    for index in range(job.n):
        for partial in range(job.partial_images):
            yield Picture(index, _picture(job, width, height, seed, index), width, height, partial=partial)
        score = options.scores[index % len(options.scores)] if job.score and options.scores else None
        data = _picture(job, width, height, seed, index)
        yield Picture(index, data, width, height, seed=seed + index, score=score)
    yield Usage(prompt_tokens=len(job.prompt.split()), images=job.n)


def _embeddings(job: EmbeddingJob, options: FakeOptions) -> Iterator[Event]:
    """Of length 1, in a direction that the text's hash gives."""
    size = job.dimensions or options.dimensions
    vectors = array.array("f")
    for one in job.inputs:
        numbers = [byte - 127.5 for byte in hashlib.shake_128(repr(one).encode()).digest(size)]
        length = math.hypot(*numbers)
        vectors.extend(number / length for number in numbers)
    yield Embeddings(vectors.tobytes(), size)
    yield Usage(prompt_tokens=facts_of(job, options).prompt_tokens)


def _scores(job: ScoreJob, options: FakeOptions) -> Iterator[Event]:
    """The share of a query's words that its document has."""
    queries = job.queries * len(job.documents) if len(job.queries) == 1 else job.queries
    pairs = [(set(query.split()), set(text.split())) for query, text in zip(queries, job.documents, strict=True)]
    yield Scores(tuple(len(query & text) / len(query) for query, text in pairs), options.method)
    yield Usage(prompt_tokens=facts_of(job, options).prompt_tokens)


def _picture(job: ImageJob, width: int, height: int, seed: int, index: int) -> bytes:
    """One flat colour, which the seed chooses; that of the start, with all of its blue, where there is one. Where there
    is a mask, the start is kept beside it, which then has the picture's size."""
    from PIL import Image

    colour = ((seed + index) * 67 % 256, (seed + index) * 131 % 256, 128)
    if job.starts:
        start = Image.open(io.BytesIO(job.starts[index if len(job.starts) > 1 else 0]))
        red, green, _ = start.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        colour = (red, green, 255)
    buffer = io.BytesIO()
    picture = Image.new("RGB", (width, height), colour)
    if job.starts and job.mask is not None:
        mask = Image.open(io.BytesIO(job.mask)).resize(picture.size)
        picture = Image.composite(picture, start.resize(picture.size), mask)
    picture.save(buffer, job.format)
    return buffer.getvalue()
