"""The probe of a chat model whose config has none, by a real vLLM: whoever can't compute is not served."""

from pathlib import Path

import pytest
from pydantic import ByteSize

from scripts.acceptance.dummies import Shape, write_chat
from server.core import Claim
from server.engines.vllm import hardware
from server.errors import ModelUnavailable
from server.models.config.spec import VllmModel
from server.models.factory import make_engine
from server.models.memory.ledger import MemoryLedger
from server.models.memory.machine import Machine
from server.models.registry import Registry
from server.models.slot import State
from server.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]


def registry(spec: VllmModel, models_dir: Path) -> Registry:
    return Registry(
        [spec],
        lambda model, grant: make_engine(model, models_dir=models_dir, grant=grant),
        MemoryLedger(Machine.detect()),
        models_dir=models_dir,
    )


@pytest.mark.skipif(hardware.cuda(), reason="GPUs compute attention in heads of 16 values")
async def test_a_model_that_loads_and_cannot_compute_is_not_served(tmp_path: Path) -> None:
    # Heads of 16 values: vLLM's attention on processors refuses them with the first token, and its core dies of it.
    write_chat(tmp_path / "narrow", Shape(hidden=64, inner=128, layers=2, heads=4, kv_heads=2, head=16))
    spec = VllmModel(
        name="narrow", engine="vllm", path="narrow", load="lazy", load_format="dummy", max_model_len=512,
        kv_cache=ByteSize(1 << 26),
    )  # fmt: skip
    models = registry(spec, tmp_path)
    try:
        with pytest.raises(ModelUnavailable, match="probe failed"):
            async with models.lease(spec, Claim("account")):
                pytest.fail("it was served")
        state = models.states()["narrow"]
        assert state.state is State.FAILED
        assert state.reason is not None
        assert "probe failed" in state.reason
        assert state.held.host == 0, "what failed holds nothing"
    finally:
        await models.stop()


async def test_a_model_that_computes_is_served_without_a_probe_of_its_own() -> None:
    settings = load_settings()
    spec = VllmModel(
        name="chat", engine="vllm", path="smollm2-135m-instruct", load="lazy", max_model_len=512,
        kv_cache=ByteSize(1 << 26),
    )  # fmt: skip
    models = registry(spec, settings.models_dir)
    try:
        async with models.lease(spec, Claim("account")) as engine:
            assert engine.alive
        assert models.states()["chat"].state is State.READY
    finally:
        await models.stop()
