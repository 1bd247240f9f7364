"""The load: vLLM's own benchmark harness, called as a library, and a look at who else used the machine meanwhile."""

import argparse
import contextlib
import io
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scripts.benchmarks.figures import Figures, from_harness
from scripts.benchmarks.processes import Server, processor_seconds

DISTURBED = 0.05
"""Share of the machine's processor time taken by others above which a round is measured again."""

LOOK = 1.5
"""Seconds of looking before the machine is called quiet."""


@dataclass(frozen=True, slots=True)
class Load:
    """`streams` requests at a time, `requests` in all; lengths of prompts and answers in tokens.

    raw: whether the prompts go to /v1/completions as they are, rather than as chats.
    """

    streams: int
    requests: int
    prompt_tokens: int = 64
    output_tokens: int = 128
    raw: bool = False

    def __str__(self) -> str:
        return f"{self.streams} stream{'s' if self.streams > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured round of one side. others: share of the machine's processor time that went elsewhere, 0–1."""

    side: str
    load: Load
    round: int
    figures: Figures
    others: float


def measure(
    server: Server, load: Load, seed: int, tokenizer: Path, neighbour: psutil.Popen | None = None
) -> tuple[Figures, float]:
    """Drive a ready server; returns the figures and the share of processor time that others took.

    The seed makes the prompts: each round has its own, since both servers keep a cache of prompts they have seen.
    Raises ValueError if a request failed.
    """
    ours = [psutil.Process(), *([neighbour] if neighbour else [])]
    before, begun = server.processor_seconds() + sum(map(processor_seconds, ours)), time.monotonic()
    busy = busy_seconds()
    figures = from_harness(drive(server, load, seed, tokenizer))
    seconds = time.monotonic() - begun
    used = server.processor_seconds() + sum(map(processor_seconds, ours)) - before
    others = (busy_seconds() - busy - used) / (seconds * (os.cpu_count() or 1))
    return figures, max(0.0, others)


def wait_for_quiet(known: Iterable[psutil.Process], patience: float) -> None:
    """Return once others than the known processes leave the machine alone, or after `patience` seconds."""
    ours = list(known)
    until = time.monotonic() + patience
    while time.monotonic() < until:
        busy, used, begun = busy_seconds(), sum(map(processor_seconds, ours)), time.monotonic()
        time.sleep(LOOK)
        used = sum(map(processor_seconds, ours)) - used
        others = (busy_seconds() - busy - used) / ((time.monotonic() - begun) * (os.cpu_count() or 1))
        if others < DISTURBED:
            return


def drive(server: Server, load: Load, seed: int, tokenizer: Path) -> Mapping[str, Any]:
    """The detailed result of vLLM's harness (`vllm.benchmarks.serve`)."""
    from vllm.benchmarks.lib import endpoint_request_func as requests
    from vllm.benchmarks.serve import add_cli_args, main

    parser = argparse.ArgumentParser()
    add_cli_args(parser)
    arguments = parser.parse_args(_arguments(server, load, seed, tokenizer))
    said = io.StringIO()
    if server.key:
        os.environ["OPENAI_API_KEY"] = server.key  # the way in that the harness has
    theirs = requests.StreamedResponseHandler
    requests.StreamedResponseHandler = deaf_to_comments(theirs)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return dict(main(arguments))
    finally:
        requests.StreamedResponseHandler = theirs
        os.environ.pop("OPENAI_API_KEY", None)
        with server.log.with_suffix(".load.log").open("a") as log:
            log.write(said.getvalue())


def deaf_to_comments(handler: type) -> type:
    """The harness's own reader of streams, mended.

    The harness strips what it reads, and with it the blank line after a comment that comes alone: all that follows
    would belong to the comment. This server sends one every five seconds while an answer waits for its turn.
    """

    class Deaf(handler):  # type: ignore[misc]
        buffer: str

        def add_chunk(self, chunk_bytes: bytes) -> Any:
            if self.buffer.startswith(":") and chunk_bytes.startswith((b"data: ", b":")):
                self.buffer = ""
            return super().add_chunk(chunk_bytes)

    return Deaf


def _arguments(server: Server, load: Load, seed: int, tokenizer: Path) -> Sequence[str]:
    values = {
        "backend": "openai" if load.raw else "openai-chat",
        "base-url": server.url,
        "endpoint": "/v1/completions" if load.raw else "/v1/chat/completions",
        "model": server.side.model,
        "served-model-name": server.side.model,
        "tokenizer": tokenizer,
        "dataset-name": "random",
        "random-input-len": load.prompt_tokens,
        "random-output-len": load.output_tokens,
        "random-range-ratio": 0,
        "num-prompts": load.requests,
        "max-concurrency": load.streams,
        "seed": seed,
        "temperature": 0,
        # Its test request would put the first prompt into the prompt cache.
        "ready-check-timeout-sec": 0,
    }
    words = [word for name, value in values.items() for word in (f"--{name}", str(value))]
    return [*words, "--ignore-eos", "--disable-tqdm", "--save-detailed"]


def busy_seconds() -> float:
    """Processor time of the whole machine that was not idle; what a hypervisor took from it counts as well."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
