"""The config of encoders: what a classifier's labels may mean, and what does not go together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.core import CATEGORIES, Task
from server.engines.worker import frames
from server.models.config.catalog import Catalog, check_configs
from server.models.config.spec import EmbedModel
from server.models.factory import worker_options

ROOT = Path(__file__).resolve().parents[3]


def guard(moderation: dict[str, Any], **fields: Any) -> EmbedModel:
    return EmbedModel.model_validate(
        {"name": "guard", "engine": "embed", "path": "guard", "moderation": moderation, **fields}
    )


def test_a_label_is_a_sign_of_one_category_or_of_several(tmp_path: Path) -> None:
    model = guard({"categories": {"toxic": "hate", "threat": ["violence", "harassment/threatening"]}}, windows=4)
    assert model.tasks == (Task.MODERATION,)
    options = worker_options(model, tmp_path)
    assert options["moderation"] == {
        "categories": {"toxic": ["hate"], "threat": ["violence", "harassment/threatening"]},
        "threshold": 0.5,
        "thresholds": {},
        "activation": None,
    }
    assert frames.encode(options), "it crosses to a worker"


@pytest.mark.parametrize(
    ("moderation", "fields", "message"),
    [
        ({"categories": {}}, {}, "at least 1 item"),
        ({"categories": {"toxic": []}}, {}, "at least 1 item"),
        ({"categories": {"toxic": "rude"}}, {}, "Input should be 'harassment'"),
        ({"categories": {"toxic": "hate"}, "threshold": 0}, {}, "greater than 0"),
        ({"categories": {"toxic": "hate"}, "threshold": 1.1}, {}, "less than or equal to 1"),
        (
            {"categories": {"toxic": "hate"}, "thresholds": {"sexual": 0.2}},
            {},
            "names sexual, for which there is no",
        ),
        ({"categories": {"toxic": "hate"}, "activation": "tanh"}, {}, "Input should be 'sigmoid'"),
        ({"categories": {"toxic": "hate"}, "treshold": 1}, {}, "Extra inputs are not permitted"),
        ({"categories": {"toxic": "hate"}}, {"cross_encoder": True}, "moderates has no vectors and scores no pairs"),
        ({"categories": {"toxic": "hate"}}, {"dimensions": [4]}, "moderates has no vectors and scores no pairs"),
        ({"categories": {"toxic": "hate"}}, {"normalize": True}, "moderates has no vectors and scores no pairs"),
    ],
)
def test_what_makes_no_sense_is_refused(moderation: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        guard(moderation, **fields)


def test_the_example_answers_by_the_names_that_programs_send(tmp_path: Path) -> None:
    folder = tmp_path / "text-moderation"
    folder.mkdir()
    for file in ("config.json", "tokenizer.json", "model.onnx"):
        (folder / file).touch()
    catalog = Catalog.load(ROOT / "model_configs" / "examples", tmp_path, None)
    for name in ("omni-moderation-latest", "text-moderation-latest", "text-moderation"):
        spec, price = catalog.resolve(name, Task.MODERATION)
        assert spec.name == "text-moderation"
        assert price.prompt_token > 0
    assert isinstance(spec, EmbedModel)
    assert spec.moderation is not None
    named = {category for signs in spec.moderation.categories.values() for category in signs}
    assert named < set(CATEGORIES)


def test_none_of_the_starter_models_moderates() -> None:
    configured = check_configs(ROOT / "model_configs").models
    shipped = [one.spec for one in configured if one.source.file.parent.name != "examples"]
    assert shipped
    assert all(Task.MODERATION not in spec.tasks for spec in shipped)
