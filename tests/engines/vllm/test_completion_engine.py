"""Completions by vLLM's own processes, in float32: prompts are scored to the model's own figures, and end together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from server.core import CompletionJob, Finish, PromptTokens, TextDelta, Usage
from server.engines.base import Engine
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import SlowReader
from server.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(300)]

TEXTS = (
    "The capital of Japan is Tokyo, and the capital of France is Paris.",
    "def add(a, b):\n    return a + b\n",
    "Schnee fällt 雪 auf 🎿 die Berge.",  # tokens that are no whole characters
)
NATS = 0.02


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def engine(anyio_backend: str) -> AsyncIterator[VllmEngine]:
    path = load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    assert path.is_dir(), "scripts/models brings the starter models"
    # So few tokens a step that a long prompt is read in several.
    few = {"max_model_len": 512, "max_num_batched_tokens": 128, "max_num_seqs": 16, "kv_cache": 1 << 28}
    engine = VllmEngine(VllmOptions(name="chat", path=path, dtype="float32", fim=("<P>", "<S>", ""), **few))  # type: ignore[arg-type]
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture(scope="module")
def scores() -> Any:
    """The same weights without vLLM: a text's ids, and the log-probabilities after each of them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def scored(text: str) -> tuple[list[int], Any]:
        ids = tokenizer(text)["input_ids"]
        with torch.inference_mode():
            return ids, torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)

    return scored


async def events(engine: VllmEngine, **fields: Any) -> list[Any]:
    async with aclosing(await engine.read(CompletionJob(**fields))) as reading:
        return [event async for event in reading.run()]


async def test_prompts_are_scored_to_the_models_own_figures(engine: VllmEngine, scores: Any) -> None:
    found = await events(engine, prompts=TEXTS, echo=True, top_logprobs=3, max_tokens=0, n=2)
    told = sorted((event for event in found if isinstance(event, PromptTokens)), key=lambda event: event.prompt)
    assert [event.text for event in told] == list(TEXTS)
    for event in told:
        assert event.logprobs is not None
        assert event.tokens is not None
        ids, expected = scores(event.text)
        assert event.ids == tuple(ids)
        assert event.logprobs[0] is None
        for place, entry in enumerate(event.logprobs[1:]):
            assert entry is not None
            assert entry.id == ids[place + 1]
            assert entry.logprob == pytest.approx(float(expected[place, entry.id]), abs=NATS)
            best = expected[place].topk(3)
            assert [other.logprob for other in entry.top] == pytest.approx(best.values.tolist(), abs=NATS)
            assert entry.rank == 1 + int((expected[place] > expected[place, entry.id]).sum()) or entry.rank > 50
    assert "".join(told[0].tokens or ()) == TEXTS[0]
    # Nothing is generated, and each prompt is paid once.
    assert sorted(event.index for event in found if isinstance(event, Finish)) == list(range(6))
    assert {event.reason for event in found if isinstance(event, Finish)} == {"length"}
    assert not [event for event in found if isinstance(event, TextDelta)]
    assert isinstance(found[-1], Usage)
    assert found[-1].prompt_tokens == sum(len(event.ids) for event in told)
    assert found[-1].completion_tokens == 0


async def test_a_long_prompt_is_scored_whole_and_once_for_all_its_choices(engine: VllmEngine, scores: Any) -> None:
    text = " ".join(f"{number} bottles of beer on the wall." for number in range(40))
    found = await events(engine, prompts=(text,), echo=True, top_logprobs=0, max_tokens=4, n=3, ignore_eos=True)
    (told,) = (event for event in found if isinstance(event, PromptTokens))
    ids, expected = scores(text)
    assert len(ids) > 300
    assert told.logprobs is not None
    assert [entry.logprob for entry in told.logprobs[1:] if entry] == pytest.approx(
        [float(expected[place, token]) for place, token in enumerate(ids[1:])], abs=NATS
    )
    assert found[-1].prompt_tokens == len(ids)
    assert found[-1].completion_tokens == 12
    assert {event.index for event in found if isinstance(event, TextDelta)} == {0, 1, 2}


async def test_a_seed_beside_a_prompt_of_several_steps_is_kept(engine: VllmEngine) -> None:
    """It ended vLLM's core; see server/engines/vllm/seeds.py."""
    text = " ".join(f"{number} bottles of beer on the wall." for number in range(40))
    fields: dict[str, Any] = {"prompts": (text,), "max_tokens": 12, "temperature": 1.5, "token_ids": True}
    drawn = [
        [
            token  # one by one: how many come with an event is a matter of time
            for event in await events(engine, seed=seed, **fields)
            if isinstance(event, TextDelta)
            for token in event.ids or ()
        ]
        for seed in (1, 1, 2)
    ]
    assert engine.alive
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


async def test_greedy_choices_are_equal_and_paid_each(engine: VllmEngine) -> None:
    found = await events(engine, prompts=("The capital of Japan is", TEXTS[1]), n=3, temperature=0.0, max_tokens=6)
    texts = ["".join(e.text for e in found if isinstance(e, TextDelta) and e.index == index) for index in range(6)]
    assert texts[0].startswith(" Tokyo")
    assert texts == [texts[0]] * 3 + [texts[3]] * 3
    assert found[-1].completion_tokens == 36
    assert sum(getattr(event, "tokens", 0) for event in found if not isinstance(event, PromptTokens)) == 36


async def test_what_is_too_far_ahead_of_its_reader_is_taken_out_of_the_core(engine: VllmEngine) -> None:
    job = CompletionJob(prompts=(TEXTS[0],), max_tokens=400, ignore_eos=True)
    told = 0

    async def take(running: AsyncIterator[Any]) -> None:
        nonlocal told
        async for event in running:
            told += event.tokens

    async with aclosing(await engine.read(job)) as reading, aclosing(reading.run()) as running:
        told += (await anext(running)).tokens  # type: ignore[union-attr]
        leash = reading._leash  # type: ignore[attr-defined]
        leash._most = 4
        while not leash.cut:
            await asyncio.sleep(0.05)
        with pytest.raises(SlowReader):
            await take(running)
    assert 4 < told < 400
    assert engine.running == 0
    assert (await events(engine, prompts=("The capital of Japan is",), max_tokens=3))[-1].completion_tokens == 3


async def test_the_middle_is_asked_for_in_the_models_tokens(engine: VllmEngine) -> None:
    fields = {"prompts": ("One, ",), "max_tokens": 1, "echo": False, "token_ids": True}
    found = await events(engine, suffix=", three", **fields)
    spelled = await events(engine, **fields | {"prompts": ("<P>One, <S>, three",)})
    assert found[0].ids == spelled[0].ids


@pytest.mark.parametrize("prompts", [1, 4])
async def test_whoever_leaves_takes_every_prompt_along(engine: VllmEngine, prompts: int) -> None:
    job = CompletionJob(prompts=("Once upon a time",) * prompts, max_tokens=400, ignore_eos=True)
    async with aclosing(await engine.read(job)) as reading:
        running = reading.run()
        seen = set()
        async for event in running:
            seen.add(getattr(event, "index", None))
            if len(seen) == prompts:
                break
        assert engine.running == prompts
        await running.aclose()
    assert engine.running == 0
    # And the engine goes on.
    assert isinstance((await events(engine, prompts=("a",), max_tokens=1))[-1], Usage)


async def test_a_balance_may_shorten_every_answer(engine: VllmEngine) -> None:
    job = CompletionJob(prompts=("Once upon a time", "One, two,"), max_tokens=50, ignore_eos=True)
    async with aclosing(await engine.read(job)) as reading:
        assert (reading.facts.prompt_tokens, reading.facts.room) == (8, 50)
        found = [event async for event in reading.run(3)]
    assert isinstance(found[-1], Usage)
    assert found[-1].completion_tokens == 6


async def test_whoever_has_much_at_work_stands_back_behind_a_newcomer(engine: VllmEngine) -> None:
    """Six prompts of 400 tokens take four steps each; the newcomer's comes after them, and is read before most."""
    order: list[str] = []

    async def read(one: Engine, name: str, prompt: tuple[int, ...]) -> None:
        async with aclosing(await one.read(CompletionJob(prompts=(prompt,), max_tokens=1))) as reading:
            order.extend([name async for event in reading.run() if isinstance(event, Finish)])

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            prompt = (number + 100, *range(1000, 1399))
            group.create_task(read(engine.behind(number + 1), f"flood-{number}", prompt))
        group.create_task(read(engine, "newcomer", (99, 1000, 1001)))
    assert "newcomer" in order[:3]
    assert len(order) == 7
