"""Moderation by tiny classifiers with random weights, held against PyTorch's own answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.core import (
    EmbeddingJob,
    Facts,
    Job,
    Moderation,
    ModerationJob,
    Moderations,
    Read,
    ScoreJob,
    Usage,
)
from server.engines.embed.handler import EmbedHandler, create
from server.errors import ContextLengthExceeded, InvalidRequest, ModelUnavailable
from tests.tiny_encoders import make_encoder

LABELS = ("rude", "threat", "fine", "slur")
MAPPED: dict[str, Any] = {
    "rude": ["harassment"],
    "threat": ["harassment/threatening", "violence"],
    "slur": ["harassment", "hate"],
}
TEXTS = ("red", "red green blue", "hello world white", "[SEP] red")
CATEGORIES = {"harassment", "harassment/threatening", "violence", "hate"}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text may have several labels."""
    folder = tmp_path_factory.mktemp("several")
    return make_encoder(folder, classifier=True, labels=LABELS, problem_type="multi_label_classification")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text has one label."""
    folder = tmp_path_factory.mktemp("one")
    return make_encoder(folder, classifier=True, labels=LABELS, problem_type="single_label_classification")


def load(
    folder: Path,
    *,
    categories: dict[str, Any] = MAPPED,
    threshold: float = 0.5,
    thresholds: dict[str, float] | None = None,
    activation: str | None = None,
    **options: Any,
) -> EmbedHandler:
    moderation = {
        "categories": categories,
        "threshold": threshold,
        "thresholds": thresholds or {},
        "activation": activation,
    }
    return create({"path": str(folder), "cl100k": "none", "moderation": moderation, **options})


def moderated(model: EmbedHandler, *inputs: str) -> tuple[Moderation, ...]:
    reading = model.read(ModerationJob(inputs=inputs))
    found, usage = [event for event in reading.run(None) if not isinstance(event, Read | None)]
    assert isinstance(found, Moderations)
    assert usage == Usage(prompt_tokens=reading.facts.prompt_tokens)
    return found.results


def refused(model: EmbedHandler, job: Job) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        model.read(job)
    return caught.value


def torchs(folder: Path, texts: Sequence[str], activation: str) -> list[dict[str, float]]:
    """By PyTorch and transformers: each label's probability, each text by itself."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    reader = load(folder).reader
    found = []
    for text in texts:
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(reader.ids([text])[0])[None]).logits[0]
        shares = torch.sigmoid(logits) if activation == "sigmoid" else torch.softmax(logits, 0)
        found.append(dict(zip(LABELS, shares.tolist(), strict=True)))
    return found


def categorized(labels: dict[str, float]) -> dict[str, float]:
    return {
        "harassment": max(labels["rude"], labels["slur"]),
        "harassment/threatening": labels["threat"],
        "violence": labels["threat"],
        "hate": labels["slur"],
    }


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_scores_are_pytorchs_alone_and_in_a_batch(several: Path, one: Path, activation: str) -> None:
    folder = several if activation == "sigmoid" else one
    model = load(folder)
    expected = [categorized(labels) for labels in torchs(folder, TEXTS, activation)]
    together = moderated(model, *TEXTS)
    for text, result, scores in zip(TEXTS, together, expected, strict=True):
        assert result.scores == pytest.approx(scores, abs=1e-5)
        assert moderated(model, text)[0].scores == pytest.approx(scores, abs=1e-5)
        assert result.flagged == {category for category, score in scores.items() if score >= 0.5}
    assert len({round(scores["hate"], 5) for scores in expected}) == len(TEXTS), "the texts differ"


def test_the_config_may_say_how_outputs_become_scores(several: Path) -> None:
    expected = [categorized(labels) for labels in torchs(several, TEXTS, "softmax")]
    found = [result.scores for result in moderated(load(several, activation="softmax"), *TEXTS)]
    assert found == [pytest.approx(scores, abs=1e-5) for scores in expected]


def test_a_category_without_a_label_has_no_score(several: Path) -> None:
    (found,) = moderated(load(several), "red")
    assert set(found.scores) == CATEGORIES
    (found,) = moderated(load(several, categories={"fine": ["sexual"]}), "red")
    assert set(found.scores) == {"sexual"}


def test_a_score_at_the_threshold_is_flagged_and_one_below_is_not(several: Path) -> None:
    (scores,) = (result.scores for result in moderated(load(several), "red"))
    lowest, highest = min(scores.values()), max(scores.values())
    assert 0 < lowest < highest < 1
    assert moderated(load(several, threshold=lowest), "red")[0].flagged == CATEGORIES
    least = {category for category, score in scores.items() if score >= highest}
    assert moderated(load(several, threshold=highest), "red")[0].flagged == least
    above = dict.fromkeys(least, float(np.nextafter(highest, 1)))
    assert moderated(load(several, threshold=highest, thresholds=above), "red")[0].flagged == set()


def test_a_long_text_is_what_the_worst_of_its_windows_is(several: Path) -> None:
    model = load(several, windows=2)
    parts = [" ".join(["red"] * 10), " ".join(["hello"] * 9)]
    halves = [result.scores for result in moderated(model, *parts)]
    worst = {category: max(half[category] for half in halves) for category in CATEGORIES}
    assert worst not in halves, "each window is the worst in something"
    job = ModerationJob(inputs=("white", " ".join(parts), "green"))
    assert model.read(job).facts == Facts(prompt_tokens=3 + 23 + 3)
    short, long, other = moderated(model, *job.inputs)
    assert long.scores == pytest.approx(worst, abs=1e-5)
    alone = moderated(model, "white", "green")
    assert [short.scores, other.scores] == [pytest.approx(result.scores, abs=1e-5) for result in alone]


def test_what_is_longer_than_its_windows_is_refused_and_never_cut(several: Path) -> None:
    error = refused(load(several, windows=2), ModerationJob(inputs=("red", "red " * 29)))
    assert isinstance(error, ContextLengthExceeded)
    assert (error.param, error.code) == ("input[1]", "context_length_exceeded")
    assert "30 tokens, however 'input[1]' has 31 tokens. Send it in parts." in error.message
    huge = refused(load(several), ModerationJob(inputs=("red " * 100_000,)))
    assert huge.param == "input"
    assert "400,000 characters. Send it in parts." in huge.message


def test_it_moderates_and_does_nothing_else(several: Path) -> None:
    for job in (EmbeddingJob(inputs=("red",)), ScoreJob(queries=("red",), documents=("red",))):
        assert refused(load(several), job).param == "model"
    encoder = create({"path": str(several), "cl100k": "none"})
    assert refused(encoder, ModerationJob(inputs=("red",))).param == "model"


def test_work_of_several_runs_tells_how_much_was_read(several: Path) -> None:
    reading = load(several, tokens_at_once=8).read(ModerationJob(inputs=("red red", "red blue", "red")))
    events = [event for event in reading.run(None) if event is not None]
    assert events[0] == Read(8)
    assert [type(event) for event in events[1:]] == [Moderations, Usage]


@pytest.fixture
def rewritten(several: Path, tmp_path: Path) -> Any:
    """A copy of the classifier whose config.json says something else."""

    def rewrite(**fields: Any) -> Path:
        for file in ("model.onnx", "tokenizer.json"):
            (tmp_path / file).write_bytes((several / file).read_bytes())
        config = json.loads((several / "config.json").read_text()) | fields
        said = {name: value for name, value in config.items() if value is not None}
        (tmp_path / "config.json").write_text(json.dumps(said))
        return tmp_path

    return rewrite


def test_a_problem_that_is_not_named_is_one_of_one_label(rewritten: Any, several: Path) -> None:
    (expected,) = torchs(several, ["red"], "softmax")
    assert moderated(load(rewritten(problem_type=None)), "red")[0].scores == pytest.approx(
        categorized(expected), abs=1e-5
    )


def test_without_names_labels_are_called_as_transformers_calls_them(rewritten: Any) -> None:
    folder = rewritten(id2label=None, label2id=None, num_labels=4)
    assert set(moderated(load(folder, categories={"LABEL_3": ["hate"]}), "red")[0].scores) == {"hate"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"id2label": {"0": "rude", "1": "threat", "2": "slur"}},
            "graph has 4 outputs, and its config.json has 3 labels",
        ),
        ({"id2label": {"1": "rude"}}, "labels in config.json of the model can't be read"),
        (
            {"id2label": {"0": "kind", "1": "threat", "2": "mild", "3": "fine"}},
            "no label rude or slur. Its labels are kind, threat, mild, fine.",
        ),
        ({"problem_type": "regression"}, "problem_type that makes no probabilities"),
    ],
)
def test_a_folder_that_says_something_else_is_not_served(rewritten: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        load(rewritten(**fields))
    assert message in caught.value.message


def test_outputs_of_a_regression_become_scores_where_the_config_says_how(rewritten: Any, several: Path) -> None:
    folder = rewritten(problem_type="regression")
    assert moderated(load(folder, activation="sigmoid"), "red") == moderated(load(several), "red")


def test_one_output_is_a_probability_by_itself(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path, classifier=True, labels=("toxic",))
    model = load(folder, categories={"toxic": ["harassment"]})
    found = [result.scores["harassment"] for result in moderated(model, *TEXTS)]
    assert len(set(found)) == len(TEXTS)
    assert all(0 < score < 1 for score in found)
