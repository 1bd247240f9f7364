"""What k drafts cost against one, at one request in flight: they share a batch, and the KV cache of their prompt.

The drafts are those of ultra itself, by a request that leaves it nothing but drafts and a choice (it asks for
log-probabilities); the one is the same request in medium. Every answer has the same length (`ignore_eos`). A long
prompt shows whether the other drafts find it in the cache: each request's text is new, so what is cached then is what
the first draft has read.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Spread, ratio
from scripts.quality.frame import checked
from scripts.quality.questions.words import NOUNS

PROMPTS: Mapping[str, int] = {"short prompt": 10, "long prompt": 600}
"""Words of each."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One request: seconds, tokens written by all drafts, of its prompt, and found in the cache by all drafts."""

    prompt: str
    drafts: int
    seconds: float
    written: int
    prompt_tokens: int
    cached_tokens: int


async def timed(client: httpx.AsyncClient, model: str, prompt: str, drafts: int, tokens: int, seed: int) -> Timed:
    """Ask for `drafts` at once, or for one. Raises Failure, httpx.HTTPError."""
    rng = Random(f"{seed} {drafts}")
    words = " ".join(rng.choices(NOUNS, k=PROMPTS[prompt]))
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"{rng.random()} Tell a story with these words: {words}"}],
        "quality": "ultra" if drafts > 1 else "medium",
        "max_tokens": tokens,
        "temperature": 0.7,
        "ignore_eos": True,
        "logprobs": True,
        "seed": seed,
    }
    before = await found_in_cache(client, model)
    begun = time.perf_counter()
    response = checked(await client.post("/v1/chat/completions", json=body))
    seconds = time.perf_counter() - begun
    usage = response.json()["usage"]
    made, written = usage["quality"]["candidates"], usage["completion_tokens"]
    if made != drafts or written != drafts * tokens:
        raise ValueError(f"{made} drafts of {written} tokens in all, where {drafts} of {tokens} were wanted")
    found = await found_in_cache(client, model) - before
    return Timed(prompt, drafts, seconds, written, usage["prompt_tokens"], found)


async def found_in_cache(client: httpx.AsyncClient, model: str) -> int:
    """Prompt tokens that the engine's prefix cache had, of all drafts since the engine started."""
    metrics = await client.get("/metrics")
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(metrics.raise_for_status().text)
        for sample in family.samples
        if sample.name == "sagehold_prefix_cache_found_tokens_total" and sample.labels["model"] == model
    )


async def measured_drafts(
    client: httpx.AsyncClient, model: str, drafts: int, tokens: int, rounds: int, tell: Any
) -> list[Timed]:
    """Rounds of all prompts, one draft and several by turns; a first round warms the server up and does not count."""
    found: list[Timed] = []
    for number in range(rounds + 1):
        for prompt in PROMPTS:
            for count in (1, drafts) if number % 2 else (drafts, 1):
                one = await timed(client, model, prompt, count, tokens, number)
                if number:
                    found.append(one)
        tell()
    return found


def ratios(found: list[Timed], drafts: int) -> dict[str, Spread]:
    """Seconds of several drafts over those of one, round by round, for each prompt."""
    return {
        prompt: ratio(
            [one.seconds for one in found if (one.prompt, one.drafts) == (prompt, drafts)],
            [one.seconds for one in found if (one.prompt, one.drafts) == (prompt, 1)],
        )
        for prompt in PROMPTS
    }


def show(found: list[Timed], drafts: int, console: Console) -> None:
    divided = ratios(found, drafts)
    table = Table("", "1 draft, s", f"{drafts} drafts, s", "ratio", "prompt tokens", f"cached, by {drafts} drafts")
    for prompt in PROMPTS:
        seconds, tokens, cached = (
            {
                count: Spread.of(getattr(one, name) for one in found if (one.prompt, one.drafts) == (prompt, count))
                for count in (1, drafts)
            }
            for name in ("seconds", "prompt_tokens", "cached_tokens")
        )
        table.add_row(
            prompt,
            seconds[1].shown(2),
            seconds[drafts].shown(2),
            divided[prompt].shown(2),
            f"{tokens[drafts].median:.0f}",
            cached[drafts].shown(0),
        )
    console.print(table)


def run_drafts(drafts: int, tokens: int, rounds: int, models_dir: Path, output: Path, console: Console) -> None:
    """Start a server of the first chat model, measure, show and keep. Raises StartError."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep
    from scripts.quality.server import measured

    spec = sides.chat_model(models_dir, None)
    with scratch() as folder:
        configs = sides.configs_with(folder, spec, quality={"ultra": {"drafts": drafts, "sure": 1, "enough": None}})
        with measured([spec.name], models_dir, configs, folder) as server:

            async def drive() -> list[Timed]:
                async with server.client() as client:
                    return await measured_drafts(
                        client, spec.name, drafts, tokens, rounds, lambda: console.print(".", end="")
                    )

            found = asyncio.run(drive())
    console.print()
    show(found, drafts, console)
    facts = {"tokens": tokens, "rounds": rounds, "drafts": drafts}
    spreads = {prompt: spread.as_dict() for prompt, spread in ratios(found, drafts).items()}
    keep(output / "drafts.json", "drafts", {**facts, "ratios": spreads, "requests": [asdict(one) for one in found]})
    console.print(f"figures in {output / 'drafts.json'}")
