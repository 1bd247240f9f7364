"""vLLM's arguments for memory and GPUs; its own argument class takes them."""

import os
from pathlib import Path
from typing import Any

import pytest

from server.engines.vllm import environment, hardware
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions

GIB = 2**30


def arguments(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, **options: Any) -> dict[str, Any]:
    monkeypatch.setattr(hardware, "cuda", lambda: cuda)
    return VllmEngine(VllmOptions(name="chat", path=Path("/m"), **options)).arguments()


MEMORY = {"device_ids", "kv_cache_memory_bytes", "gpu_memory_utilization"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            {"gpus": (1, 3), "gpu_share": 0.4, "kv_cache": 7 * GIB},
            {"device_ids": [1, 3], "kv_cache_memory_bytes": 7 * GIB, "gpu_memory_utilization": 0.4},
            id="the ledger's grant",
        ),
        pytest.param(
            {"gpus": (0,), "gpu_share": 0.4, "kv_cache": 7 * GIB, "gpu_memory_utilization": 0.8},
            {"device_ids": [0], "gpu_memory_utilization": 0.8},
            id="the config's share",
        ),
        pytest.param({}, {"device_ids": None}, id="no ledger: vLLM's own"),
    ],
)
def test_on_gpus(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: dict[str, Any]) -> None:
    given = arguments(monkeypatch, cuda=True, **options)
    assert {name: given[name] for name in MEMORY & given.keys()} == expected
    assert given["enable_sleep_mode"] is True


def test_on_a_processor_the_cache_is_divided_among_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = arguments(monkeypatch, cuda=False, kv_cache=4 * GIB)
    assert {name: whole[name] for name in MEMORY & whole.keys()} == {"kv_cache_memory_bytes": 4 * GIB}
    parts = arguments(monkeypatch, cuda=False, kv_cache=4 * GIB, tensor_parallel_size=2, pipeline_parallel_size=2)
    assert parts["kv_cache_memory_bytes"] == GIB


def test_vllm_finds_the_gpus_among_those_that_the_server_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    given = arguments(monkeypatch, cuda=True, gpus=(2, 0), gpu_share=0.4)
    made = AsyncEngineArgs(**given)
    monkeypatch.setattr("vllm.engine.arg_utils.current_platform.device_control_env_var", "CUDA_VISIBLE_DEVICES")
    for visible, expected in ((None, [2, 0]), ("4,5,6", [6, 4])):
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        # Of vLLM's own steps the one that is meant; the whole config, which is public, needs the GPUs.
        assert made._resolve_device_ids() == expected


def test_what_the_operator_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_DEVICE_ORDER", *environment.ALLOCATOR):
        monkeypatch.setenv(name, "")  # so that what is set below is taken back
        monkeypatch.delenv(name)
    environment.prepare()
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert os.environ["PYTORCH_ALLOC_CONF"] == environment.PINNED
    monkeypatch.delenv("PYTORCH_ALLOC_CONF")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    environment.prepare()
    assert "PYTORCH_ALLOC_CONF" not in os.environ
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_a_torch_that_may_lack_the_key_is_not_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, given in (("2.11.0+cu130", None), ("2.13.0", environment.PINNED), ("3.0", environment.PINNED)):
        monkeypatch.setattr(environment.metadata, "version", lambda _name, version=version: version)
        variables: dict[str, str] = {}
        environment.prepare(variables)
        assert variables.get("PYTORCH_ALLOC_CONF") == given
