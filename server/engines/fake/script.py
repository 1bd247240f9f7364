"""What a fake engine answers: deterministic, and true to the job (limits, stops, forced calls, sizes)."""

import array
import hashlib
import io
import math
from collections.abc import Iterator

from server.core import (
    AudioChunk,
    ChatJob,
    CompletionJob,
    DetokenizeJob,
    EmbeddingJob,
    Embeddings,
    Event,
    Facts,
    ImageJob,
    Job,
    Moderation,
    ModerationJob,
    Moderations,
    Picture,
    ScoreJob,
    Scores,
    Segment,
    SpeechJob,
    TokenizeJob,
    TranscriptInfo,
    TranscriptionJob,
    Usage,
    Word,
)
from server.engines.fake import language
from server.engines.fake.options import FakeOptions


def facts_of(job: Job, options: FakeOptions) -> Facts:
    """What the engine says of a job that it has read."""
    match job:
        case ChatJob():
            tokens = language.prompt_tokens(job)
            left = max(options.context - tokens, 1)
            return Facts(prompt_tokens=tokens, room=left if job.max_tokens is None else min(job.max_tokens, left))
        case CompletionJob():
            counts = [len(language.read_of(prompt)) for prompt in job.prompts]
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
        case ModerationJob():
            return Facts(prompt_tokens=sum(len(text.split()) for text in job.inputs))


def events_of(job: Job, options: FakeOptions) -> Iterator[Event]:
    """The events of a job, `Usage` included. The same job has the same events."""
    match job:
        case ChatJob():
            return language.chat(job, options)
        case CompletionJob():
            return language.completion(job, options)
        case TokenizeJob() | DetokenizeJob():
            return language.tokenization(job, options)
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
        case ModerationJob():
            return _moderations(job, options)


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
    for token in language.tokens_of(job.text):
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


def _moderations(job: ModerationJob, options: FakeOptions) -> Iterator[Event]:
    """A category that is flagged has the score 0.9, another that the options know 0.01."""
    known = set(options.flags.values())
    results = []
    for text in job.inputs:
        found = frozenset(category for word, category in options.flags.items() if word in text)
        results.append(Moderation({category: 0.9 if category in found else 0.01 for category in known}, found))
    yield Moderations(tuple(results))
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
