"""Whatever a job says, an encoder answers with numbers or refuses: nothing else is raised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core import EmbeddingJob, Embeddings, Read, ScoreJob, Scores
from server.engines.embed.handler import EmbedHandler, create
from server.errors import InvalidRequest
from tests.tiny_encoders import make_encoder

text = st.text(max_size=40) | st.lists(st.sampled_from(["red", "blue", "[SEP]", "é", "\u200b", " "]), max_size=40).map(
    " ".join
)
limit = st.none() | st.sampled_from([-1, 1, 2, 3, 15, 16, 17, 10**6, 2**64 - 1])
cap = st.none() | st.sampled_from([1, 2, 16, 2**64 - 1])
side = st.sampled_from(["left", "right"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EmbedHandler]:
    def load(folder: Path, **options: Any) -> EmbedHandler:
        return create({"path": str(folder), "cl100k": "none", **options})

    encoder = make_encoder(tmp_path_factory.mktemp("encoder"))
    classifier = make_encoder(tmp_path_factory.mktemp("classifier"), classifier=True)
    return {
        "plain": load(encoder),
        "windowed": load(encoder, windows=3, tokens_at_once=20),
        "pairs": load(classifier, cross_encoder=True),
    }


@settings(max_examples=150)
@given(data=st.data())
def test_embeddings(models: dict[str, EmbedHandler], data: st.DataObject) -> None:
    model = models[data.draw(st.sampled_from(["plain", "windowed"]))]
    job = EmbeddingJob(
        inputs=tuple(data.draw(st.lists(text, min_size=1, max_size=5))),
        truncate=data.draw(limit),
        truncation_side=data.draw(side),
    )
    try:
        reading = model.read(job)
    except InvalidRequest:
        return
    made, _ = [event for event in reading.run(None) if not isinstance(event, Read | None)]
    assert isinstance(made, Embeddings)
    vectors = np.frombuffer(made.data, "<f4").reshape(len(job.inputs), -1)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-4)


@settings(max_examples=150)
@given(data=st.data())
def test_scores(models: dict[str, EmbedHandler], data: st.DataObject) -> None:
    model = models[data.draw(st.sampled_from(["plain", "windowed", "pairs"]))]
    documents = tuple(data.draw(st.lists(text, min_size=1, max_size=4)))
    job = ScoreJob(
        queries=tuple(data.draw(st.lists(text, min_size=len(documents), max_size=len(documents)))),
        documents=documents,
        truncate=data.draw(limit),
        truncation_side=data.draw(side),
        query_tokens=data.draw(cap),
        document_tokens=data.draw(cap),
    )
    try:
        reading = model.read(job)
    except InvalidRequest:
        return
    found, _ = [event for event in reading.run(None) if not isinstance(event, Read | None)]
    assert isinstance(found, Scores)
    assert len(found.values) == len(documents)
    assert all(-1 <= value <= 1 for value in found.values)
