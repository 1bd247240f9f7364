"""vLLM's processes, stopped where they are: with a tiny model, random weights, and a patience of a second."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.core import ChatJob, Event, TextDelta
from server.engines.pulse import Patience
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import EngineHung, ModelUnavailable
from server.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]

QUICK = Patience(silence=60, step=60, stopped=0.5, interval=0.1)
STORY = ChatJob(messages=({"role": "user", "content": "Tell me a story."},), max_tokens=400, ignore_eos=True)

LONG = replace(STORY, max_tokens=3900)
"""Not done before it is stopped, however late this process is."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[VllmEngine, None]:
    """The starter chat model's tokenizer and template, round two narrow layers of nothing."""
    original = load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    assert original.is_dir(), "scripts/models brings the starter models"
    for file in original.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).symlink_to(file)
    config = json.loads((original / "config.json").read_text())
    config |= {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps(config))
    made = VllmEngine(options(tmp_path), QUICK)
    yield made
    await made.stop()


def options(path: Path) -> VllmOptions:
    small: dict[str, Any] = {"kv_cache": 1 << 26, "max_model_len": 4096, "max_num_seqs": 2}
    return VllmOptions(name="chat", path=path, dtype="float32", load_format="dummy", **small)


async def pieces(engine: VllmEngine, job: ChatJob = STORY) -> AsyncGenerator[Event, None]:
    async with aclosing(await engine.read(job)) as reading, aclosing(reading.run()) as events:
        async for event in events:
            yield event


async def gone(*pids: int) -> None:
    """Return when they have ended; whether they have been collected is not theirs to say."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)


async def test_a_stopped_worker_and_a_load_that_is_stopped(
    engine: VllmEngine, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.start()
    (core,) = engine.pids
    (computing,) = psutil.Process(core).children()
    told = [event async for event in pieces(engine)]  # tokens that are ready together come as one
    assert sum(event.tokens for event in told if isinstance(event, TextDelta)) > 100
    assert not engine.hung  # for all the time that a whole answer took
    events = pieces(engine, LONG)
    await anext(events)
    os.kill(computing.pid, signal.SIGSTOP)
    with pytest.raises(EngineHung):
        async for _ in events:
            pass
    assert (engine.alive, engine.hung) == (False, True)
    with pytest.raises(EngineHung):
        await engine.read(STORY)
    await engine.stop()
    await gone(core, computing.pid)
    assert f"process {computing.pid} is stopped. Killing it, with process ids {core}, {computing.pid}" in caplog.text

    again = VllmEngine(engine._options, QUICK)
    loading = asyncio.create_task(again.start())
    while not again._started.pids:
        await asyncio.sleep(0.01)
    (core,) = again._started.pids
    os.kill(core, signal.SIGSTOP)
    with pytest.raises(ModelUnavailable, match="its process hung, and was ended"):
        await loading
    await gone(core)
