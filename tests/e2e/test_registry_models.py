"""The registry with real workers: load, probe, kill -9, a fresh one, and nothing left behind."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from server.core import AudioChunk, Claim, SpeechJob, Task
from server.engines.worker.engine import WorkerEngine
from server.errors import EngineFailed
from server.models.config.catalog import Catalog
from server.models.factory import make_engine
from server.models.memory.ledger import MemoryLedger
from server.models.memory.machine import Machine
from server.models.registry import Registry
from server.settings import load_settings
from tests.reading import ran

pytestmark = [pytest.mark.anyio, pytest.mark.models]

CONFIGS = Path(__file__).resolve().parents[2] / "model_configs"


async def test_a_killed_worker_costs_its_own_request_and_nothing_else() -> None:
    models_dir = load_settings().models_dir
    catalog = Catalog.load(CONFIGS, models_dir, None)
    assert "tts-1" in {entry.id for entry in catalog.public_models()}, "scripts/models brings the starter models"
    spec, _ = catalog.resolve("tts-1", Task.SPEECH)
    ledger = MemoryLedger(Machine.detect())
    registry = Registry(
        catalog.models,
        lambda spec, grant: make_engine(spec, models_dir=models_dir, allotment=grant),
        ledger,
        models_dir=models_dir,
    )
    try:
        async with registry.lease(spec, Claim("account")) as engine:
            assert isinstance(engine, WorkerEngine)
            assert ledger.held[spec.name].host > 50 * 2**20  # what the worker really took
            first = engine.pid
            assert first is not None
            events = ran(engine, SpeechJob(text="One sentence. " * 50, format="pcm"))
            await anext(events)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(EngineFailed):
                async for _ in events:
                    pass
        assert registry.states()[spec.name].state == "failed"
        async with registry.lease(spec, Claim("account")) as engine:
            assert isinstance(engine, WorkerEngine)
            second = engine.pid
            assert second != first
            spoken = b""
            async for event in ran(engine, SpeechJob(text="Hello.", format="pcm")):
                if isinstance(event, AudioChunk):
                    spoken += event.data
            assert len(spoken) > 24000 // 4 * 2  # a quarter of a second
        assert registry.states()[spec.name].state == "ready"
    finally:
        await registry.stop()
    assert dict(ledger.held) == {}
    assert second is not None
    assert not psutil.pid_exists(second)
