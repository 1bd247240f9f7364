"""A model that has stopped leaves nothing in the front end: counted by the tokenizers that are still there."""

import asyncio
import gc
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from server.core import ChatJob
from server.engines.vllm import caches, environment, forkserver
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import ModelUnavailable
from tests.engines.vllm.rendering import rendering

pytestmark = pytest.mark.anyio


class Llm:
    """What `stop` sees of AsyncLLM; a ring, as that is."""

    def __init__(self) -> None:
        self.itself = self
        self.output_handler = None
        self.stopped = False

    def shutdown(self) -> None:
        self.stopped = True


async def test_a_stopped_engine_holds_nothing() -> None:
    engine = VllmEngine(VllmOptions(name="chat", path=Path("chat")))
    llm, renderer = Llm(), Llm()
    # What `start` sets, without the core process that a real one takes.
    engine._llm, engine._renderer, engine._parser = llm, renderer, renderer
    left = weakref.ref(llm), weakref.ref(renderer)
    del llm, renderer
    await engine.stop()
    assert [one() for one in left] == [None, None]


async def test_what_stops_beside_a_load_freezes_nothing_of_it_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that is being made is a ring as well, and is given back when it stops in turn."""
    told: list[bool] = []
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def begin() -> None:
        begun.set()
        await goes_on.wait()
        raise ModelUnavailable("broken")

    monkeypatch.setattr(environment, "prepare", lambda: None)
    monkeypatch.setattr(VllmEngine, "_check_machine", lambda _: None)
    monkeypatch.setattr(forkserver, "begin", begin)
    monkeypatch.setattr(caches, "forget", lambda *, models: told.append(models))
    one, other = (VllmEngine(VllmOptions(name=name, path=Path(name))) for name in ("one", "other"))
    load = asyncio.create_task(other.start())
    await begun.wait()
    await one.stop()
    goes_on.set()
    with pytest.raises(ModelUnavailable):
        await load
    await other.stop()  # as whoever began the load does
    assert told == [True, False]


def test_every_cache_is_there() -> None:
    """A release of vLLM's that renames one must not go unnoticed."""
    for module, name in caches.HOLDERS:
        assert callable(getattr(import_module(module), name).cache_clear)


@pytest.mark.models
async def test_loads_of_a_model_do_not_add_up() -> None:
    """As often as its renderer is set up, used and given back: all that was made for a load goes with it."""
    await _load()  # imports, and what stays for good
    caches.forget()
    before = sorted(_tokenizers())
    for _ in range(3):
        await _load()
        assert len(_tokenizers()) > len(before)
        caches.forget()
        assert sorted(_tokenizers()) == before


def _tokenizers() -> list[str]:
    """vLLM makes a class for each tokenizer; its methods' closures hold the tokenizer and copies of it."""
    from transformers import TokenizersBackend

    gc.collect()
    found, left = [], [TokenizersBackend]
    while left:
        below = left.pop().__subclasses__()
        left += below
        found += [one.__qualname__ for one in below if one.__module__.startswith("vllm.")]
    return found


async def _load() -> None:
    from server.engines.vllm import prompt

    renderer, processor = rendering()
    renderer.warmup()
    job = ChatJob(messages=({"role": "user", "content": "hello"},))
    rendered: Any = await prompt.render(job, renderer, {})
    assert rendered.tokens > 0
    processor.renderer.shutdown()
