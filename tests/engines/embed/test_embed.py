"""Embeddings and scores by tiny encoders with random weights, held against PyTorch's own answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.core import EmbeddingJob, Embeddings, Facts, Job, Read, ScoreJob, Scores, SpeechJob, Usage
from server.engines.cl100k import TABLE
from server.engines.embed import bounds
from server.engines.embed.handler import EmbedHandler, create
from server.errors import ContextLengthExceeded, InvalidRequest, ModelUnavailable
from tests.tiny_encoders import make_encoder, write_recipe, write_tokenizer


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("classifier"), classifier=True)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cl100k of three tokens: `red`, ` blue`, and the first byte of `é`."""
    file = tmp_path_factory.mktemp("table") / TABLE
    file.parent.mkdir()
    file.write_text("cmVk 0\nIGJsdWU= 1\nww== 2\n")
    return file


def load(folder: Path, table: Path = Path("none"), **options: Any) -> EmbedHandler:
    return create({"path": str(folder), "cl100k": str(table), **options})


def vectors(model: EmbedHandler, *inputs: str | tuple[int, ...], **fields: Any) -> np.ndarray[Any, Any]:
    reading = model.read(EmbeddingJob(inputs=inputs, **fields))
    made, usage = [event for event in reading.run(None) if not isinstance(event, Read | None)]
    assert isinstance(made, Embeddings)
    assert usage == Usage(prompt_tokens=reading.facts.prompt_tokens)
    return np.frombuffer(made.data, "<f4").reshape(len(inputs), made.dimensions)


def scores(model: EmbedHandler, queries: Sequence[str], documents: Sequence[str], **fields: Any) -> Scores:
    reading = model.read(ScoreJob(queries=tuple(queries), documents=tuple(documents), **fields))
    found, usage = [event for event in reading.run(None) if not isinstance(event, Read | None)]
    assert isinstance(found, Scores)
    assert usage == Usage(prompt_tokens=reading.facts.prompt_tokens)
    return found


def refused(model: EmbedHandler, job: Job) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        model.read(job)
    return caught.value


def torchs(folder: Path, *texts: str) -> np.ndarray[Any, Any]:
    """By PyTorch: the mean of the last layer, of length 1, each text by itself."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    reader = load(folder).reader
    found = []
    for text in texts:
        with torch.inference_mode():
            hidden = model(input_ids=torch.from_numpy(reader.ids([text])[0])[None]).last_hidden_state
        mean = hidden[0].mean(0).numpy()
        found.append(mean / np.linalg.norm(mean))
    return np.array(found)


TEXTS = ("red", "red green blue", "hello world white", "[SEP] red")


def test_vectors_are_pytorchs_alone_and_in_a_batch(encoder: Path) -> None:
    model = load(encoder)
    expected = torchs(encoder, *TEXTS)
    together = vectors(model, *TEXTS)
    assert together == pytest.approx(expected, abs=1e-5)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    for text, vector in zip(TEXTS, expected, strict=True):
        assert vectors(model, text)[0] == pytest.approx(vector, abs=1e-5)


def test_pooling_is_read_from_the_folder(encoder: Path, tmp_path: Path) -> None:
    for file in ("model.onnx", "tokenizer.json"):
        (tmp_path / file).write_bytes((encoder / file).read_bytes())
    found = {}
    for mode in ("mean_tokens", "cls_token", "max_tokens", "lasttoken"):
        write_recipe(tmp_path, pooling=mode)
        model = load(tmp_path)
        alone, batched = vectors(model, "red"), vectors(model, "red", "red green")
        assert alone[0] == pytest.approx(batched[0], abs=1e-5), "padding is part of no vector"
        found[mode] = alone[0]
    values = list(found.values())
    assert all(not np.allclose(one, other, atol=1e-3) for i, one in enumerate(values) for other in values[:i])


def test_without_a_module_for_it_vectors_are_not_normalized(encoder: Path, tmp_path: Path) -> None:
    for file in ("model.onnx", "tokenizer.json"):
        (tmp_path / file).write_bytes((encoder / file).read_bytes())
    write_recipe(tmp_path, normalize=False)
    raw = vectors(load(tmp_path), "red")[0]
    assert np.linalg.norm(raw) != pytest.approx(1, abs=0.05)
    assert vectors(load(tmp_path, normalize=True), "red")[0] == pytest.approx(raw / np.linalg.norm(raw), abs=1e-5)


def test_token_ids_are_the_text_that_they_stand_for(encoder: Path, table: Path) -> None:
    model = load(encoder, table)
    assert vectors(model, (0, 1)) == pytest.approx(vectors(model, "red blue"), abs=1e-6)
    # Half a character is U+FFFD, and no failure.
    assert vectors(model, (2,)) == pytest.approx(vectors(model, "\ufffd"), abs=1e-6)
    assert vectors(model, (0, 100257)) == pytest.approx(vectors(model, "red<|endoftext|>"), abs=1e-6)


@pytest.mark.parametrize("number", [3, 100256, 100261, 100277, -1, 2**70])
def test_an_id_that_is_none_is_refused_with_its_place(encoder: Path, table: Path, number: int) -> None:
    error = refused(load(encoder, table), EmbeddingJob(inputs=((0,), (0, number))))
    assert (error.param, error.code) == ("input[1]", "invalid_value")
    assert f"{number} is no token id" in error.message


def test_without_the_table_ids_are_refused_and_texts_answered(encoder: Path) -> None:
    model = load(encoder)
    error = refused(model, EmbeddingJob(inputs=((0,),)))
    assert (error.param, error.code) == ("input", "unsupported_value")
    assert "Send text" in error.message
    assert vectors(model, "red").shape == (1, 8)


def test_a_long_text_is_refused_with_its_place(encoder: Path) -> None:
    model = load(encoder)
    long = "red " * 15
    error = refused(model, EmbeddingJob(inputs=("red", long)))
    assert isinstance(error, ContextLengthExceeded)
    assert (error.param, error.code) == ("input[1]", "context_length_exceeded")
    assert "16 tokens, however 'input[1]' has 17 tokens" in error.message
    assert refused(model, EmbeddingJob(inputs=(long,))).param == "input"
    assert model.read(EmbeddingJob(inputs=("red " * 14,))).facts == Facts(prompt_tokens=16)


def test_truncation_reads_a_part(encoder: Path) -> None:
    model = load(encoder)
    long = " ".join(["red"] * 14 + ["blue"] * 6)
    assert vectors(model, long, truncate=-1) == pytest.approx(vectors(model, " ".join(["red"] * 14)), abs=1e-6)
    assert vectors(model, long, truncate=4) == pytest.approx(vectors(model, "red red"), abs=1e-6)
    left = vectors(model, long, truncate=4, truncation_side="left")
    assert left == pytest.approx(vectors(model, "blue blue"), abs=1e-6)
    # More than the model reads at once is no truncation that helps.
    assert refused(model, EmbeddingJob(inputs=(long,), truncate=20)).code == "context_length_exceeded"


def test_a_text_that_is_much_too_long_is_not_even_tokenized(
    encoder: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(encoder)
    huge = "red " * 100_000
    with monkeypatch.context() as patch:
        patch.setattr(model.reader, "ids", None)
        error = refused(model, EmbeddingJob(inputs=("red", huge)))
    assert (error.param, error.code) == ("input[1]", "context_length_exceeded")
    assert "400,000 characters" in error.message
    assert vectors(model, huge + "blue", truncate=4) == pytest.approx(vectors(model, "red red"), abs=1e-6)
    left = vectors(model, huge + "blue", truncate=4, truncation_side="left")
    assert left == pytest.approx(vectors(model, "red blue"), abs=1e-6)
    job = ScoreJob(queries=(huge,), documents=("red",))
    assert refused(load(classifier, cross_encoder=True), job).param == "query"


def test_windows_are_averaged_by_their_lengths(encoder: Path) -> None:
    model = load(encoder, windows=2)
    long = " ".join(["red"] * 10 + ["blue"] * 9)
    parts = vectors(model, " ".join(["red"] * 10), " ".join(["blue"] * 9))
    mean = (12 * parts[0] + 11 * parts[1]) / 23
    found = vectors(model, "white", long, "green")
    assert found[1] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert found[[0, 2]] == pytest.approx(vectors(model, "white", "green"), abs=1e-5)
    assert model.read(EmbeddingJob(inputs=(long,))).facts.prompt_tokens == 23
    assert "context length is 30 tokens" in refused(model, EmbeddingJob(inputs=("red " * 29,))).message


def test_dimensions_only_where_the_model_was_trained_for_them(encoder: Path) -> None:
    error = refused(load(encoder), EmbeddingJob(inputs=("red",), dimensions=4))
    assert (error.param, error.code) == ("dimensions", "unsupported_parameter")
    assert vectors(load(encoder), "red", dimensions=8).shape == (1, 8)
    model = load(encoder, dimensions=[2, 4])
    whole, cut = vectors(model, "red")[0], vectors(model, "red", dimensions=4)[0]
    assert cut == pytest.approx(whole[:4] / np.linalg.norm(whole[:4]), abs=1e-6)
    error = refused(model, EmbeddingJob(inputs=("red",), dimensions=3))
    assert (error.param, error.code) == ("dimensions", "invalid_value")
    assert "2, 4" in error.message


def test_too_many_tokens_in_all(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_TOKENS", 100)
    error = refused(load(encoder), EmbeddingJob(inputs=("red red",) * 26))
    assert (error.param, error.code) == ("input", "max_tokens_per_request")
    assert load(encoder).read(EmbeddingJob(inputs=("red red",) * 25)).facts.prompt_tokens == 100


def test_cosines_of_an_encoder(encoder: Path) -> None:
    model = load(encoder)
    query, one = vectors(model, "red", "green blue")
    found = scores(model, ["red"], ["green blue", "red"])
    assert found.method == "embedding"
    assert found.values == pytest.approx((float(query @ one), 1.0), abs=1e-5)
    assert max(found.values) <= 1
    pairs = scores(model, ["red", "green blue"], ["red", "green blue"])
    assert pairs.values == pytest.approx((1.0, 1.0), abs=1e-5)
    # A query that all documents share is read once.
    assert model.read(ScoreJob(queries=("red",), documents=("red", "red"))).facts.prompt_tokens == 9


def test_a_cross_encoder_reads_both_at_once(classifier: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = load(classifier, cross_encoder=True)
    documents = ["green blue", "white", "red red red red"]
    found = scores(model, ["red"], documents)
    assert found.method == "cross-encoder"
    network = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    expected = []
    for row in model.reader.pairs([("red", document) for document in documents]):
        assert row.kinds is not None
        given = {"input_ids": torch.from_numpy(row.ids)[None], "token_type_ids": torch.from_numpy(row.kinds)[None]}
        with torch.inference_mode():
            expected.append(float(torch.sigmoid(network(**given).logits)[0, 0]))
    assert found.values == pytest.approx(expected, abs=1e-5)
    assert len(set(found.values)) == 3
    assert all(0 <= value <= 1 for value in found.values)


def test_a_pair_that_is_too_long(classifier: Path) -> None:
    model = load(classifier, cross_encoder=True)
    job = ScoreJob(queries=("red",), documents=("blue", "blue " * 13), names=("text_1", "text_2"))
    error = refused(model, job)
    assert (error.param, error.code) == ("text_2[1]", "context_length_exceeded")
    cut = scores(model, ["red"], ["blue", "blue " * 13], truncate=-1)
    assert cut.values == pytest.approx(scores(model, ["red"], ["blue", "blue " * 12]).values, abs=1e-6)
    short = scores(model, ["red"], ["blue blue blue"], document_tokens=1)
    assert short.values == pytest.approx(scores(model, ["red"], ["blue"]).values, abs=1e-6)


def test_other_jobs_are_refused(encoder: Path, classifier: Path) -> None:
    assert refused(load(encoder), SpeechJob(text="red")).param == "model"
    assert refused(load(classifier, cross_encoder=True), EmbeddingJob(inputs=("red",))).param == "model"


def test_a_classifier_of_several_classes_scores_nothing(encoder: Path) -> None:
    with pytest.raises(ModelUnavailable, match="one output; this one has 8"):
        load(encoder, cross_encoder=True)


def test_a_folder_without_a_graph_says_what_it_lacks(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_recipe(tmp_path)
    with pytest.raises(ModelUnavailable, match=r"no graph model\.onnx or onnx/model\.onnx"):
        load(tmp_path)


def test_work_of_several_runs_tells_how_much_was_read(encoder: Path) -> None:
    model = load(encoder, tokens_at_once=8)
    reading = model.read(EmbeddingJob(inputs=("red red", "red blue", "red", "blue green")))
    assert reading.facts.prompt_tokens == 15
    events = [event for event in reading.run(None) if event is not None]
    assert events[0] == Read(8)
    assert [type(event) for event in events[1:]] == [Embeddings, Usage]
