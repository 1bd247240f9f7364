"""A model that talks nonsense is not served: the check that runs after each load and each wake from sleep."""

import io
import re
from contextlib import aclosing
from pathlib import Path

import anyio
import numpy as np
from PIL import Image

from server.core import (
    AudioChunk,
    ChatJob,
    ImageJob,
    Picture,
    ReasoningDelta,
    Segment,
    SpeechJob,
    Task,
    TextDelta,
    TranscriptionJob,
)
from server.engines.base import Engine
from server.errors import ModelUnavailable, SageholdError
from server.models.spec import ModelSpec, Probe

SAMPLE_RATE = 24_000
"""Of SpeechJob's pcm format: mono, s16le."""

SECONDS_A_CHARACTER = (0.015, 0.5)
"""Speech of ordinary speed takes about 0.07 s a character; outside of these the voice is broken."""

QUIETEST = 0.005
"""Root mean square of full scale below which speech is silence: -46 dB. Ordinary speech lies near 0.1."""

FLATTEST = 4.0
"""Standard deviation of an image's 0–255 values below which it shows nothing: broken weights draw grey or black."""


async def check(spec: ModelSpec, engine: Engine, path: Path) -> None:
    """Run the model's probe, if it has one. `path` is the model's folder, for files that the probe names.

    Raises ModelUnavailable with what was asked and what came.
    """
    if spec.probe is None:
        return
    try:
        with anyio.fail_after(spec.probe.timeout):
            match spec.task:
                case Task.CHAT:
                    await _chat(spec, spec.probe, engine)
                case Task.TRANSCRIPTION:
                    await _transcription(spec, spec.probe, engine, path)
                case Task.SPEECH:
                    await _speech(spec, spec.probe, engine)
                case Task.IMAGE:
                    await _image(spec, spec.probe, engine)
    except TimeoutError:
        raise ModelUnavailable(f"The model's probe took longer than {spec.probe.timeout:g} s.") from None
    except ModelUnavailable:
        raise
    except SageholdError as error:
        raise ModelUnavailable(f"The model's probe failed: {error.message}") from error


async def _chat(spec: ModelSpec, probe: Probe, engine: Engine) -> None:
    job = ChatJob(
        model=spec.name,
        messages=({"role": "user", "content": probe.prompt},),
        max_tokens=probe.max_tokens,
        temperature=0.0,
    )
    answer = ""
    async with aclosing(engine.run(job)) as events:
        async for event in events:
            if isinstance(event, TextDelta | ReasoningDelta):
                answer += event.text
    if probe.expect.casefold() not in answer.casefold():
        raise ModelUnavailable(
            f"The model's probe failed: asked {probe.prompt!r} it said {answer[:200]!r}, without {probe.expect!r}."
        )


async def _transcription(spec: ModelSpec, probe: Probe, engine: Engine, path: Path) -> None:
    file = anyio.Path(path) / probe.prompt
    try:
        audio = await file.read_bytes()
    except OSError as error:
        raise ModelUnavailable("The model's probe failed: its audio file cannot be read.") from error
    text = ""
    async with aclosing(engine.run(TranscriptionJob(model=spec.name, audio=audio, filename=file.name))) as events:
        async for event in events:
            if isinstance(event, Segment):
                text += event.text
    if _words(probe.expect) not in _words(text):
        raise ModelUnavailable(
            f"The model's probe failed: it read {text.strip()[:200]!r} where {probe.expect!r} is spoken."
        )


async def _speech(spec: ModelSpec, probe: Probe, engine: Engine) -> None:
    spoken = bytearray()
    async with aclosing(engine.run(SpeechJob(model=spec.name, text=probe.prompt, format="pcm"))) as events:
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


async def _image(spec: ModelSpec, probe: Probe, engine: Engine) -> None:
    picture: Picture | None = None
    async with aclosing(engine.run(ImageJob(model=spec.name, prompt=probe.prompt, seed=0))) as events:
        async for event in events:
            if isinstance(event, Picture) and event.partial is None:
                picture = event
    if picture is None:
        raise ModelUnavailable("The model's probe failed: it drew no picture.")
    with Image.open(io.BytesIO(picture.data)) as image:
        spread = float(np.asarray(image.convert("RGB"), dtype=np.float64).std())
    if spread < FLATTEST:
        raise ModelUnavailable(f"The model's probe failed: the picture is flat (standard deviation {spread:.1f}).")


def _words(text: str) -> str:
    """Lower-case words with single blanks, one on each side, so that containment is of whole words."""
    return " " + " ".join(re.findall(r"[\w']+", text.casefold())) + " "
