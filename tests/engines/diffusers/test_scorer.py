"""Pictures scored by a CLIP model of a few thousand random weights."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.errors import ModelUnavailable
from tests.tiny_drawing import load, pictures


@pytest.fixture(scope="module")
def tiny() -> Any:
    return importlib.import_module("tests.tiny_pipeline")


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = tiny.build(tmp_path_factory.mktemp("scored") / "pipeline")
    return built


@pytest.fixture(scope="module")
def judge(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = tiny.build_scorer(tmp_path_factory.mktemp("scorer") / "clip")
    return built


@pytest.fixture(scope="module")
def scorer(judge: Path) -> Any:
    torch = importlib.import_module("torch")
    from server.engines.diffusers.scorer import ClipScorer

    return ClipScorer.load(judge, torch.device("cpu"), torch.float32)


def test_scores_are_cosines_that_depend_on_both(scorer: Any) -> None:
    red, blue = Image.new("RGB", (20, 40), "red"), Image.new("RGBA", (40, 40), "blue")
    scores = scorer.scores("a red heart", [red, blue, red])
    assert all(-1 <= score <= 1 for score in scores)
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-4
    assert scorer.scores("a blue car", [red])[0] != pytest.approx(scores[0], abs=1e-4)


def test_a_long_prompt_is_cut_off(scorer: Any) -> None:
    picture = Image.new("RGB", (16, 16), "red")
    assert scorer.scores("heart " * 100, [picture]) == scorer.scores("heart " * 200, [picture])


def test_pictures_are_scored_where_the_job_asks_for_it(folder: Path, judge: Path) -> None:
    handler = load(folder, scorer=str(judge), max_batch=2)
    scored = pictures(handler, n=3, seed=1, score=True, partial_images=1)
    finished = [one.score for one in scored if one.partial is None]
    assert None not in finished
    assert len(set(finished)) == 3
    assert {one.score for one in scored if one.partial is not None} == {None}
    assert pictures(handler, seed=1)[0].score is None


def test_without_a_scorer_nobody_can_tell(folder: Path) -> None:
    assert pictures(load(folder), score=True)[0].score is None


def test_a_folder_that_is_no_scorer_is_told_at_load(folder: Path, tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "missing", folder):
        with pytest.raises(ModelUnavailable, match="scorer") as refused:
            load(folder, scorer=str(wrong))
        assert str(tmp_path) not in refused.value.message
