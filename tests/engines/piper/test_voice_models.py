"""The starter voice without variation: the same samples by all threads and by one, alone and in company."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from server.core import AudioChunk, SpeechJob, Task
from server.engines.piper.graph import planar
from server.engines.piper.handler import PiperHandler, create
from server.models.config import weights
from server.models.config.catalog import Catalog
from server.models.config.spec import PiperModel
from server.models.factory import worker_options
from server.settings import Settings
from tests.reading import handled

pytestmark = pytest.mark.models

SETTINGS = Settings()

TEXTS = (
    "Good morning.",
    "The committee met on the third of March to consider the plans, which had been put off twice since the spring.",
    "Nine were for the river. Four were against; two had already gone home, and one was asleep.",
)


@pytest.fixture(scope="module")
def spec() -> PiperModel:
    found, _ = Catalog.load(SETTINGS.model_configs, SETTINGS.models_dir, None).resolve("tts-1", Task.SPEECH)
    assert isinstance(found, PiperModel)
    return found


@pytest.fixture(scope="module")
def handler(spec: PiperModel) -> Iterator[PiperHandler]:
    """Of two threads, with the voice of one thread there."""
    made = create({**worker_options(spec, SETTINGS.models_dir), "threads": 2})
    speaker = next(iter(made._speakers.values()))
    assert speaker.narrow is not None
    speaker.narrow.voice()
    speaker.narrow.loading.join(60)
    assert speaker.narrow.voice() is not None
    return made


def said(handler: PiperHandler, text: str) -> bytes:
    job = SpeechJob(text=text, format="pcm", noise_scale=0.0, noise_w=0.0)
    return b"".join(event.data for event in handled(handler, job) if isinstance(event, AudioChunk))


def test_company_changes_no_sample(handler: PiperHandler, spec: PiperModel) -> None:
    alone = [said(handler, text) for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: said(handler, text), TEXTS * 3)) == alone * 3
    one_thread = create({**worker_options(spec, SETTINGS.models_dir), "threads": 1})
    assert [said(one_thread, text) for text in TEXTS] == alone


def test_the_graph_as_it_is_computed_gives_the_samples_of_the_file(handler: PiperHandler, spec: PiperModel) -> None:
    speaker = next(iter(handler._speakers.values()))
    voice = speaker.voice
    (phonemes,) = voice.phonemize(TEXTS[1])
    ids = np.array([voice.phonemes_to_ids(phonemes)], dtype=np.int64)
    file = weights.location(spec, SETTINGS.models_dir) / next(iter(spec.voices.values())).file

    def samples(model: bytes) -> NDArray[np.float32]:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        scales = np.array([0.0, 1.0, 0.0], dtype=np.float32)
        lengths = np.array([ids.shape[1]], dtype=np.int64)
        made: NDArray[np.float32] = session.run(None, {"input": ids, "input_lengths": lengths, "scales": scales})[0]
        return made

    # Measured: 2e-5, of 0.4 at the loudest; a step of 16 bits is 3e-5.
    assert np.abs(samples(planar(file)) - samples(file.read_bytes())).max() < 1e-4
