"""What vLLM is given for a chat model's config, on a GPU and on a processor: each name is one of vLLM's own."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import vllm.engine.arg_utils
from vllm.config.multimodal import MultiModalConfig

from server.core import Claim
from server.engines.vllm import hardware, vocabulary
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.models.config.spec import VllmModel
from server.models.factory import make_engine
from server.models.memory.allotment import Allotment
from server.models.queue import FairQueue
from server.models.queue_standing import Entry


def arguments(**options: Any) -> dict[str, Any]:
    given = VllmEngine(VllmOptions(name="chat", path=Path("/models/chat"), **options)).arguments()
    assert given.keys() <= vocabulary.engine_arguments()
    return given


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cuda", lambda: True)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cuda", lambda: False)


@pytest.mark.usefixtures("cuda")
def test_what_is_said_in_a_config_reaches_vllm_on_a_gpu() -> None:
    said: dict[str, Any] = {
        "dtype": "bfloat16",
        "max_model_len": 4096,
        "max_num_seqs": 32,
        "max_num_batched_tokens": 8192,
        "quantization": "fp8",
        "kv_cache_dtype": "fp8_e4m3",
        "tokenizer_mode": "mistral",
        "load_format": "safetensors",
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 2,
        "data_parallel_size": 2,
        "reasoning_parser": "qwen3",
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 3},
        "hf_overrides": {"rope_theta": 1e6},
    }
    given = arguments(**said, gpus=(1, 2, 3, 4, 5, 6, 7, 0), cpu_offload=3 << 29)
    assert {name: given[name] for name in said} == said
    assert given["device_ids"] == [1, 2, 3, 4, 5, 6, 7, 0]
    assert given["cpu_offload_gb"] == 1.5
    assert given["enforce_eager"] is False
    assert given["enable_sleep_mode"] is True


@pytest.mark.usefixtures("processor")
def test_what_is_not_said_is_left_to_vllm_on_a_processor() -> None:
    given = arguments()
    assert not given.keys() & {
        "max_model_len", "quantization", "kv_cache_dtype", "tokenizer_mode",
        "load_format", "speculative_config", "hf_overrides", "reasoning_parser", "enable_lora", "enable_sleep_mode",
    }  # fmt: skip
    assert given["max_num_batched_tokens"] == 512
    assert "max_num_batched_tokens" not in arguments(images=True)
    assert given["scheduling_policy"] == "priority"
    assert given["cpu_offload_gb"] == 0
    assert given["enforce_eager"] is True


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize(
    ("cores", "places", "alone"), [(1, 18, 16), (2, 36, 32), (4, 73, 64), (7, 128, 112), (64, 128, 112), (None, 18, 16)]
)
def test_an_account_alone_fills_the_best_step_of_a_processor(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, places: int, alone: int
) -> None:
    """Sixteen sequences a core, and what it leaves to newcomers on top."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    given = arguments()["max_num_seqs"]
    assert given == places
    queue = FairQueue(given, 1000)
    came = [queue.enter(Claim("one", size=1), 0, ready=True, patience=60, rate=None) for _ in range(given)]
    assert sum(isinstance(entry, Entry) and entry.running for entry in came) == alone


@pytest.mark.usefixtures("cuda")
def test_vllm_takes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its constructor checks names and the forms of nested configs; only building the config needs the GPU."""
    monkeypatch.setattr(vllm.engine.arg_utils, "get_model_path", lambda model, _revision: model)
    folder = tmp_path / "pirate"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 24}))
    given = arguments(
        adapters={"pirate": folder}, images=True, kv_cache_dtype="fp8", extra={"enable_prefix_caching": False}
    )
    made = vllm.engine.arg_utils.AsyncEngineArgs(**given)
    assert (made.enable_lora, made.max_loras, made.max_lora_rank) == (True, 1, 32)
    assert made.enable_prefix_caching is False


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("audio", [True, False])
def test_a_model_sees_and_hears_or_does_not(images: bool, audio: bool) -> None:
    """Video comes in no request. Limits for what a model can't take anyway are no error."""
    limits = MultiModalConfig(limit_per_prompt=arguments(images=images, audio=audio)["limit_mm_per_prompt"])
    assert limits.get_limit_per_prompt("image") == (999 if images else 0)
    assert limits.get_limit_per_prompt("audio") == (999 if audio else 0)
    assert limits.get_limit_per_prompt("video") == 0


@pytest.mark.usefixtures("processor")
def test_a_drafting_model_is_found_among_the_models(tmp_path: Path) -> None:
    def drafting(model: str) -> Any:
        said = {"method": "draft_model", "model": model, "num_speculative_tokens": 3}
        spec = VllmModel.model_validate({"name": "x", "engine": "vllm", "path": "x", "speculative_config": said})
        engine = make_engine(spec, models_dir=tmp_path, allotment=Allotment())
        assert isinstance(engine, VllmEngine)
        return engine.arguments()["speculative_config"]["model"]

    (tmp_path / "small").mkdir()
    assert drafting("small") == str(tmp_path / "small")
    assert drafting("[ngram]") == "[ngram]"
