"""LoRA adapters before they are loaded: what their folders lack, and vLLM's arguments for their number and rank."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from server.engines.vllm import adapters


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return adapter(tmp_path / "pirate")


def adapter(folder: Path, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_model.safetensors").touch()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8, "lora_alpha": 16} | config))
    return folder


def test_a_whole_adapter_has_no_problem(folder: Path) -> None:
    assert adapters.problem(folder) is None
    assert adapters.problem(adapter(folder, init_lora_weights="gaussian", use_rslora=True)) is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"r": 0}, "pirate/adapter_config.json has no rank: `r` must be a positive number"),
        ({"r": None}, "pirate/adapter_config.json has no rank: `r` must be a positive number"),
        ({"r": 600}, "pirate has the rank 600; vLLM serves 512 at most"),
        ({"rank_pattern": {"q_proj": 513}}, "pirate has the rank 513; vLLM serves 512 at most"),
        ({"peft_type": "IA3"}, "pirate is a IA3 adapter; vLLM serves LORA"),
        ({"use_dora": True}, "pirate/adapter_config.json: vLLM does not support use_dora"),
        ({"init_lora_weights": "pissa"}, "pirate/adapter_config.json: vLLM does not support init_lora_weights 'pissa'"),
    ],
)
def test_what_vllm_cannot_serve(folder: Path, config: dict[str, Any], reason: str) -> None:
    assert adapters.problem(adapter(folder, **config)) == reason


def test_what_is_missing_or_damaged_is_named_without_its_place(folder: Path) -> None:
    assert adapters.problem(folder / "nowhere") == "there is no folder nowhere"
    (folder / "adapter_model.safetensors").unlink()
    assert adapters.problem(folder) == "pirate holds no adapter_model.safetensors"
    (folder / "adapter_config.json").write_text("{")
    assert adapters.problem(folder) == "pirate/adapter_config.json can't be read as JSON"
    (folder / "adapter_config.json").unlink()
    assert adapters.problem(folder) == "pirate holds no adapter_config.json"


def test_vllm_gets_the_highest_rank_and_the_number(tmp_path: Path) -> None:
    assert adapters.arguments({}) == {}
    two = {
        "a": adapter(tmp_path / "a", r=8),
        "b": adapter(tmp_path / "b", r=4, rank_pattern={"down_proj": 12}),
    }
    assert adapters.arguments(two) == {"enable_lora": True, "max_loras": 2, "max_cpu_loras": 2, "max_lora_rank": 16}
    many = {f"a{number}": two["a"] for number in range(12)}
    assert adapters.arguments(many) == {"enable_lora": True, "max_loras": 8, "max_cpu_loras": 12, "max_lora_rank": 8}


def test_the_ranks_are_vllms() -> None:
    from vllm.config.lora import MaxLoRARanks

    assert get_args(MaxLoRARanks) == adapters.RANKS
