"""Configs held against what the installed vLLM knows by name, and what this installation can honour."""

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from server.engines.vllm import check, honoured, vocabulary
from server.engines.vllm.complaint import Complaint
from server.engines.vllm.options import VllmOptions


def said(**fields: Any) -> dict[str, Any]:
    options = VllmOptions(name="x", path=Path("x"), **fields)
    return {name: getattr(options, name) for name in check.FIELDS}


def words(**fields: Any) -> list[str]:
    return [str(one) for one in vocabulary.complaints(said(**fields))]


def machine(cuda: bool, **fields: Any) -> list[Complaint]:
    return list(honoured.complaints(said(**fields), cuda=cuda))


def test_what_vllm_knows_is_right() -> None:
    assert words() == []
    assert (
        words(
            tool_parser="hermes",
            reasoning_parser="qwen3",
            quantization="awq_marlin",
            kv_cache_dtype="fp8_e4m3",
            load_format="safetensors",
            tokenizer_mode="mistral",
            speculative_config={"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4},
            extra={"enable_prefix_caching": False, "trust_remote_code": True},
        )
        == []
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"extra": {"enforce_egaer": True}},
            "extra.enforce_egaer: this vLLM knows no engine argument 'enforce_egaer'; did you mean enforce_eager?",
        ),
        ({"tool_parser": "hermez"}, "tool_parser: this vLLM knows no tool parser 'hermez'; did you mean hermes?"),
        ({"reasoning_parser": "qwen33"}, "reasoning_parser: this vLLM knows no reasoning parser 'qwen33'; did you"),
        ({"quantization": "awk"}, "quantization: this vLLM knows no quantization 'awk'; did you mean awq?"),
        ({"kv_cache_dtype": "fp9"}, "kv_cache_dtype: this vLLM knows no type of KV cache 'fp9'; did you mean fp8?"),
        ({"load_format": "safetensor"}, "load_format: this vLLM knows no load format 'safetensor'; did you mean safe"),
        ({"tokenizer_mode": "slow"}, "tokenizer_mode: this vLLM knows no tokenizer mode 'slow'; allowed: auto, "),
        ({"speculative_config": {"method": "ngramm"}}, "speculative_config.method: this vLLM knows no speculative me"),
        ({"speculative_config": {"method": "eagle", "models": "x"}}, "speculative_config.models: this vLLM knows no"),
        ({"speculative_config": {"num_speculative_tokens": 2}}, "speculative_config: needs a `method`, such as ngram"),
        ({"speculative_config": {"method": "ngram"}}, "speculative_config: needs `num_speculative_tokens`"),
    ],
)
def test_what_it_does_not_know_is_named_with_the_nearest(fields: dict[str, Any], reason: str) -> None:
    (complaint,) = words(**fields)
    assert complaint.startswith(reason)


def test_a_plugins_parser_is_not_looked_for() -> None:
    assert words(reasoning_parser="ours", extra={"reasoning_parser_plugin": "ours.py"}) == []


# ---------------------------------------------------------------- what can be honoured here


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The distributions that seem to be installed, by version."""
    found = {"torch": "2.13.0"}

    def version(name: str) -> str:
        if name not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(honoured.metadata, "version", version)
    monkeypatch.setattr(honoured.metadata, "requires", lambda name: ["numpy", "torch==2.13.0"])
    return found


def test_a_load_format_needs_its_package(packages: dict[str, str]) -> None:
    reason = "instanttensor needs the package instanttensor, which is not installed"
    assert machine(True, load_format="instanttensor") == [(("load_format",), reason)]
    packages["instanttensor"] = "0.2.2"
    assert machine(True, load_format="instanttensor") == []
    assert machine(True, load_format="safetensors") == []


@pytest.mark.parametrize(
    ("torch", "torchvision", "reason"),
    [
        ("2.13.0", None, "pictures need the package torchvision, which is not installed"),
        ("2.13.0", "0.28.0", None),
        ("2.13.0+cpu", "0.28.0+cpu", None),
        ("2.13.0+cu130", "0.28.0+cu130", None),
        ("2.13.0+cpu", "0.28.0", "builds for different hardware"),
        ("2.13.0", "0.28.0+cpu", "builds for different hardware"),
        ("2.14.0", "0.28.0", "torchvision 0.28.0 belongs to torch 2.13.0, and torch 2.14.0 is installed"),
    ],
)
def test_pictures_need_a_torchvision_that_matches(
    packages: dict[str, str], torch: str, torchvision: str | None, reason: str | None
) -> None:
    packages |= {"torch": torch} | ({} if torchvision is None else {"torchvision": torchvision})
    complaints = machine(True, images=True)
    assert machine(True, images=False) == []
    if reason is None:
        assert complaints == []
    else:
        (complaint,) = complaints
        assert complaint.field == ("images",)
        assert reason in complaint.message


def test_pillow_prepares_some_models_pictures(packages: dict[str, str]) -> None:
    """Without torchvision; one that does not match breaks them all."""
    packages["torch"] = "2.13.0+cpu"
    sees = said(images=True)
    idefics = ["Idefics3ForConditionalGeneration"]
    assert list(honoured.complaints(sees, cuda=False, architectures=idefics)) == []
    assert len(list(honoured.complaints(sees, cuda=False, architectures=["Qwen2VLForConditionalGeneration"]))) == 1
    packages["torchvision"] = "0.28.0"
    (complaint,) = honoured.complaints(sees, cuda=False, architectures=idefics)
    assert "builds for different hardware" in complaint.message


@pytest.mark.parametrize(
    "fields",
    [
        {"gpus": (0,)},
        {"gpu_memory_utilization": 0.9},
        {"cpu_offload": 1},
        {"kv_cache_dtype": "nvfp4"},
        {"load_format": "instanttensor"},
    ],
)
def test_a_processor_refuses_what_means_nothing_on_it(packages: dict[str, str], fields: dict[str, Any]) -> None:
    packages["instanttensor"] = "0.2.2"
    (complaint,) = machine(False, **fields)
    assert complaint.field == tuple(fields)
    assert complaint.message.startswith("can't be kept on a processor: ")
    assert machine(True, **fields) == []
    assert machine(False, kv_cache_dtype="fp8") == []


def test_the_processors_types_are_vllms() -> None:
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    assert set(CPUAttentionBackend.supported_kv_cache_dtypes) == set(honoured.PROCESSOR_KV)
