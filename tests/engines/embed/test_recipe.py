"""How a folder's files say that texts become vectors."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.engines.embed.recipe import Recipe, read_recipe
from server.errors import ModelUnavailable
from tests.tiny_encoders import write_recipe


@pytest.mark.parametrize(
    ("mode", "pooling"),
    [("mean_tokens", "mean"), ("cls_token", "cls"), ("max_tokens", "max"), ("lasttoken", "lasttoken")],
)
def test_pooling_is_the_models_own(tmp_path: Path, mode: str, pooling: str) -> None:
    write_recipe(tmp_path, pooling=mode)
    assert read_recipe(tmp_path).pooling == pooling


def test_the_newer_form_of_pooling(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    assert read_recipe(tmp_path).pooling == "cls"


def test_a_pooling_that_is_not_known_is_no_other(tmp_path: Path) -> None:
    write_recipe(tmp_path, pooling="mean_sqrt_len_tokens")
    with pytest.raises(ModelUnavailable, match="does not pool by pooling_mode_mean_sqrt_len_tokens"):
        read_recipe(tmp_path)


def test_a_module_that_is_not_known_is_not_left_out(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    modules = [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelUnavailable, match="a module Dense"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_are_normalized_if_a_module_does_it(tmp_path: Path, normalize: bool) -> None:
    write_recipe(tmp_path, normalize=normalize)
    assert read_recipe(tmp_path).normalize is normalize


@pytest.mark.parametrize(
    ("config", "own", "tokenizer", "tokens"),
    [
        ({"max_position_embeddings": 512}, {"max_seq_length": 256}, {"model_max_length": 512}, 256),
        ({"max_position_embeddings": 512}, {}, {"model_max_length": 10**30}, 512),
        ({"max_position_embeddings": 514, "model_type": "xlm-roberta"}, {"max_seq_length": 514}, {}, 512),
        ({"max_position_embeddings": None}, {}, {}, 512),
    ],
)
def test_the_shortest_limit_holds(
    tmp_path: Path, config: dict[str, Any], own: dict[str, Any], tokenizer: dict[str, Any], tokens: int
) -> None:
    write_recipe(tmp_path, **config)
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(own))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert read_recipe(tmp_path).max_tokens == tokens


def test_prompts_and_lengths_that_vectors_may_be_cut_to(tmp_path: Path) -> None:
    write_recipe(tmp_path, matryoshka_dimensions=[8, 2, 4])
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    recipe = read_recipe(tmp_path)
    assert (recipe.query_prompt, recipe.document_prompt, recipe.prompt) == ("query: ", "passage: ", "query: ")
    assert recipe.dimensions == (2, 4, 8)
    write_recipe(tmp_path, is_matryoshka=True)
    assert read_recipe(tmp_path).dimensions == (1, 2, 3, 4, 5, 6, 7, 8)


def test_a_folder_that_says_nothing(tmp_path: Path) -> None:
    assert read_recipe(tmp_path) == Recipe(pooling="mean", normalize=True, max_tokens=512)


@pytest.mark.parametrize("name", ["modules.json", "config.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write_recipe(tmp_path)
    (tmp_path / name).write_text("{")
    with pytest.raises(ModelUnavailable, match=name):
        read_recipe(tmp_path)
