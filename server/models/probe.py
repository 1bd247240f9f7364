"""A model that talks nonsense is not served: the check that runs after each load and each wake from sleep.

A config's `probe` asks for something and looks at the answer. A model without one gets the smallest job of its task,
which has to come through: an engine that loads and then can't compute would otherwise die of every request.
"""

import io
import logging
import math
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np
from PIL import Image

from server.core import (
    AudioChunk,
    ChatJob,
    CompletionJob,
    EmbeddingJob,
    Event,
    ImageJob,
    Job,
    ModerationJob,
    Moderations,
    Picture,
    ReasoningDelta,
    ScoreJob,
    Scores,
    Segment,
    SpeechJob,
    Task,
    TextDelta,
    TokenizeJob,
    TranscriptionJob,
)
from server.engines.base import Engine, answer
from server.errors import InvalidRequest, ModelUnavailable, SageholdError
from server.media.wav import as_wav
from server.models.config.spec import DiffusersModel, FakeModel, ModelSpec, Probe

log = logging.getLogger(__name__)

ANOTHERS = (Task.COMPLETION, Task.TOKENIZE)
"""Tasks that a chat's job proves as well: it is tokenized, and goes on."""

SAMPLE_RATE = 24_000
"""Of SpeechJob's pcm format: mono, s16le."""

SECONDS_A_CHARACTER = (0.015, 0.5)
"""Speech of ordinary speed takes about 0.07 s a character; outside of these the voice is broken."""

QUIETEST = 0.005
"""Root mean square of full scale below which speech is silence: -46 dB. Ordinary speech lies near 0.1."""

FLATTEST = 4.0
"""Standard deviation of an image's 0–255 values below which it shows nothing: broken weights draw grey or black."""


UNRELATED = "The quick brown fox jumps over the lazy dog."
"""A passage that answers no probe."""

CLEARLY = 0.1
"""How much higher an embedding model must score the passage that answers."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A part of a probe that came through: what was asked, and what was answered, in words for people."""

    task: Task
    asked: str
    answered: str


@dataclass(frozen=True, slots=True)
class Report:
    """How a probe went. passed: what came through, in order. reason: what was asked and came where one did not."""

    passed: Sequence[Passed]
    reason: str | None
    seconds: float


async def examine(spec: ModelSpec, engine: Engine, path: Path) -> Report:
    """As `check`, for people: with all that was asked."""
    begun = time.perf_counter()
    passed: list[Passed] = []
    reason = None
    try:
        await check(spec, engine, path, passed)
    except ModelUnavailable as error:
        reason = error.message
    return Report(passed, reason, time.perf_counter() - begun)


async def check(spec: ModelSpec, engine: Engine, path: Path, passed: list[Passed] | None = None) -> None:
    """Run the model's probe of its first task, and the smallest job of each task that is not probed so.

    path: the model's folder, for files that the probe names. passed: gets what came through.

    Raises ModelUnavailable with what was asked and what came.
    """
    passed = [] if passed is None else passed
    timeout = spec.probe.timeout if spec.probe is not None else _bound(spec)
    try:
        with anyio.fail_after(timeout):
            if spec.probe is not None:
                answered = await _probe(spec.tasks[0], spec.probe, engine, path)
                passed.append(Passed(spec.tasks[0], _asked(spec.tasks[0], spec.probe), answered))
            for task in spec.tasks if spec.probe is None else spec.tasks[1:]:
                if task not in ANOTHERS:
                    passed.append(Passed(task, "the smallest job that there is", await _computes(spec, task, engine)))
    except TimeoutError:
        raise ModelUnavailable(f"The model's probe took longer than {timeout:g} s.") from None
    except ModelUnavailable:
        raise
    except SageholdError as error:
        raise ModelUnavailable(f"The model's probe failed: {error.message}") from error


def _asked(task: Task, probe: Probe) -> str:
    """A probe in words. Of an audio file only its name is said."""
    return Path(probe.prompt).name if task is Task.TRANSCRIPTION else probe.prompt


# ---------------------------------------------------------------- without a probe in the config


def smallest_job(task: Task) -> Job:
    """A job that asks for as little as there is: a token, a word, a second of noise, a step."""
    match task:
        case Task.CHAT:
            hello = {"role": "user", "content": "Hello"}
            return ChatJob(messages=(hello,), max_tokens=1, temperature=0.0, top_logprobs=0)
        case Task.COMPLETION:
            return CompletionJob(prompts=("Hello",), max_tokens=1, temperature=0.0, top_logprobs=0)
        case Task.TOKENIZE:
            return TokenizeJob(of=CompletionJob(prompts=("Hello",)))
        case Task.TRANSCRIPTION:
            # Quiet noise, and no detection of voices, which would leave the model nothing to hear.
            noise = np.random.default_rng(0).integers(-30, 30, 16_000, dtype="<i2")
            return TranscriptionJob(
                audio=as_wav(noise.tobytes(), 16_000),
                filename="noise.wav",
                vad=False,
                beam_size=1,
                fallback=False,
            )
        case Task.SPEECH:
            return SpeechJob(text="Hello.", format="pcm")
        case Task.IMAGE:
            return ImageJob(prompt="a red apple", steps=1, seed=0)
        case Task.EMBEDDING:
            return EmbeddingJob(inputs=("Hello.",))
        case Task.SCORE:
            return ScoreJob(queries=("Hello.",), documents=("Hello.",))
        case Task.MODERATION:
            return ModerationJob(inputs=("Hello.",))


def _bound(spec: ModelSpec) -> float:
    """Seconds. What is compiled at the first job takes its time there."""
    timeout: float = Probe.model_fields["timeout"].default
    return 5 * timeout if isinstance(spec, DiffusersModel) and spec.compile else timeout


async def _computes(spec: ModelSpec, task: Task, engine: Engine) -> str:
    """What came of it. Raises EngineFailed, or ModelUnavailable where what comes is made of no numbers."""
    if isinstance(spec, FakeModel):
        return "not asked: its answers are written down beforehand"
    try:
        async with aclosing(answer(engine, smallest_job(task))) as events:
            async for event in events:
                _demand_numbers(event)
    except InvalidRequest as error:
        # A model may want more than the smallest job says (a chat template, other sizes). That is no sign of damage.
        log.warning("model %s: not probed, since it refuses the smallest job: %s", spec.name, error.message)
        return f"refused, which is no sign of damage: {error.message}"
    return "it came through"


def _demand_numbers(event: Event) -> None:
    """Only log-probabilities are looked at: the engine itself finds pictures that are no numbers, and samples of audio
    can't be anything else."""
    if isinstance(event, TextDelta) and not all(math.isfinite(token.logprob) for token in event.logprobs or ()):
        raise ModelUnavailable("The model's probe failed: the probability of its first token is no number.")


# ---------------------------------------------------------------- with one


async def _probe(task: Task, probe: Probe, engine: Engine, path: Path) -> str:
    """What was answered, in words for people."""
    match task:
        case Task.CHAT:
            return await _chat(probe, engine)
        case Task.TRANSCRIPTION:
            return await _transcription(probe, engine, path)
        case Task.SPEECH:
            return await _speech(probe, engine)
        case Task.IMAGE:
            return await _image(probe, engine)
        case Task.EMBEDDING | Task.SCORE:
            return await _score(probe, engine)
        case Task.MODERATION:
            return await _moderation(probe, engine)
        case _:
            return "not asked: a probe is of no use to this task"


async def _chat(probe: Probe, engine: Engine) -> str:
    job = ChatJob(
        messages=({"role": "user", "content": probe.prompt},),
        max_tokens=probe.max_tokens,
        temperature=0.0,
    )
    text = ""
    async with aclosing(answer(engine, job)) as events:
        async for event in events:
            if isinstance(event, TextDelta | ReasoningDelta):
                text += event.text
    if probe.expect.casefold() not in text.casefold():
        raise ModelUnavailable(
            f"The model's probe failed: asked {probe.prompt!r} it said {text[:200]!r}, without {probe.expect!r}."
        )
    return text.strip()[:200]


async def _transcription(probe: Probe, engine: Engine, path: Path) -> str:
    file = anyio.Path(path) / probe.prompt
    try:
        audio = await file.read_bytes()
    except OSError as error:
        raise ModelUnavailable("The model's probe failed: its audio file cannot be read.") from error
    text = ""
    async with aclosing(answer(engine, TranscriptionJob(audio=audio, filename=file.name))) as events:
        async for event in events:
            if isinstance(event, Segment):
                text += event.text
    if _words(probe.expect) not in _words(text):
        raise ModelUnavailable(
            f"The model's probe failed: it read {text.strip()[:200]!r} where {probe.expect!r} is spoken."
        )
    return text.strip()[:200]


async def _speech(probe: Probe, engine: Engine) -> str:
    spoken = bytearray()
    async with aclosing(answer(engine, SpeechJob(text=probe.prompt, format="pcm"))) as events:
        async for event in events:
            if isinstance(event, AudioChunk):
                spoken += event.data
    samples = np.frombuffer(bytes(spoken[: len(spoken) // 2 * 2]), dtype="<i2").astype(np.float64) / 32768
    seconds = samples.size / SAMPLE_RATE
    shortest, longest = (bound * len(probe.prompt) for bound in SECONDS_A_CHARACTER)
    if not shortest <= seconds <= longest + 1:
        raise ModelUnavailable(
            f"The model's probe failed: {len(probe.prompt)} characters were spoken in {seconds:.2f} s."
        )
    loudness = float(np.sqrt(np.mean(samples**2)))
    if loudness < QUIETEST:
        raise ModelUnavailable(f"The model's probe failed: the speech is silent (RMS {loudness:.4f} of full scale).")
    return f"{seconds:.1f} s of speech, RMS {loudness:.3f} of full scale"


async def _image(probe: Probe, engine: Engine) -> str:
    picture: Picture | None = None
    async with aclosing(answer(engine, ImageJob(prompt=probe.prompt, seed=0))) as events:
        async for event in events:
            if isinstance(event, Picture) and event.partial is None:
                picture = event
    if picture is None:
        raise ModelUnavailable("The model's probe failed: it drew no picture.")
    spread = await anyio.to_thread.run_sync(_spread, picture.data)
    if spread < FLATTEST:
        raise ModelUnavailable(f"The model's probe failed: the picture is flat (standard deviation {spread:.1f}).")
    return f"a picture of {picture.width} × {picture.height}, standard deviation {spread:.1f}"


async def _score(probe: Probe, engine: Engine) -> str:
    """The passage that answers the prompt must score above one that has nothing to do with it."""
    job = ScoreJob(queries=(probe.prompt,), documents=(probe.expect, UNRELATED))
    scores: tuple[float, ...] = ()
    async with aclosing(answer(engine, job)) as events:
        async for event in events:
            if isinstance(event, Scores):
                scores = event.values
    if len(scores) != 2 or not scores[0] > scores[1] + CLEARLY:
        raise ModelUnavailable(
            f"The model's probe failed: for {probe.prompt!r}, {probe.expect!r} scored {scores[0]:.2f} and "
            f"{UNRELATED!r} {scores[1]:.2f}."
            if len(scores) == 2
            else "The model's probe failed: it gave no scores."
        )
    return f"{scores[0]:.2f} for the passage that answers, {scores[1]:.2f} for one about a fox and a dog"


async def _moderation(probe: Probe, engine: Engine) -> str:
    """The prompt must be flagged, and a harmless text must not be."""
    flagged: tuple[frozenset[str], ...] = ()
    async with aclosing(answer(engine, ModerationJob(inputs=(probe.prompt, UNRELATED)))) as events:
        async for event in events:
            if isinstance(event, Moderations):
                flagged = tuple(result.flagged for result in event.results)
    if len(flagged) != 2:
        raise ModelUnavailable("The model's probe failed: it gave no verdicts.")
    if not (probe.expect in flagged[0] if probe.expect else flagged[0]) or flagged[1]:
        said = [", ".join(sorted(one)) or "nothing" for one in flagged]
        raise ModelUnavailable(
            f"The model's probe failed: it flagged {said[0]} in {probe.prompt!r}, and {said[1]} in {UNRELATED!r}."
        )
    return f"{', '.join(sorted(flagged[0]))} in that, and nothing in {UNRELATED!r}"


def _spread(picture: bytes) -> float:
    """Standard deviation of an image's 0–255 values. It is decoded for that, which takes tens of milliseconds."""
    with Image.open(io.BytesIO(picture)) as image:
        return float(np.asarray(image.convert("RGB"), dtype=np.float64).std())


def _words(text: str) -> str:
    """Lower-case words with single blanks, one on each side, so that containment is of whole words."""
    return " " + " ".join(re.findall(r"[\w']+", text.casefold())) + " "
