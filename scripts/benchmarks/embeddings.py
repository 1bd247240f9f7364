"""Embeddings a second: over HTTP, and by the same model in a process of its own, in turn.

Each round measures all for every load, one after the other; which goes first turns with the round. The model is called
directly with the settings that the server has, and with onnxruntime's own, whose threads spin while they wait. The
client of the server is a part of this process and shares the cores with it; those called directly have none.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import psutil
import typer
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.embeddings_texts import texts
from scripts.benchmarks.figures import Spread, ratio
from scripts.benchmarks.processes import Server, Side, serving

console = Console()

MODEL = "all-minilm-l6-v2"
LOADS = ((1, 1), (1, 8), (32, 1), (32, 4), (256, 1))
"""Texts of a request, and clients that send one after the other at the same time."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Embeddings a second of each side, in one round. spinning: directly, with onnxruntime's own settings."""

    ours: float
    direct: float
    spinning: float


def embeddings(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; in each both sides are measured, in turn.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each measurement.")] = 4.0,
    models_dir: Annotated[Path, typer.Option(help="Folder of the models' weights.")] = Path("models"),
    quick: Annotated[bool, typer.Option("--quick", help="One short round: does it run at all?")] = False,
    output: Annotated[Path, typer.Option(help="File for the figures, as JSON.", dir_okay=False)] = Path(
        "data/bench/embeddings.json"
    ),
) -> None:
    """Embeddings a second against the same model called directly, the time to start, and the memory held."""
    from scripts.benchmarks import sides
    from scripts.benchmarks.compare import scratch
    from scripts.benchmarks.report import keep

    if quick:
        rounds, seconds = 1, 1.0
    models_dir = models_dir.resolve()
    with scratch() as folder:
        ours = sides.sagehold(folder / "data", model=MODEL, models_dir=models_dir)
        ours = Side(ours.name, ours.command, {**ours.environment, "SAGEHOLD_AUTH": "off"}, ours.ready_path, MODEL)
        with (
            serving(ours, folder) as server,
            _direct(models_dir / MODEL) as direct,
            _direct(models_dir / MODEL, "spin") as spinning,
        ):
            idle = _memory(server)
            rates = _measured(server, direct, spinning, rounds, seconds)
            worked, booked = _memory(server), _booked(server)
    table = Table("texts × clients", "over HTTP, a second", "directly", "ratio", "directly, spinning", "ratio")
    figures: dict[str, Any] = {}
    for load in LOADS:
        name = f"{load[0]} × {load[1]}"
        over = [one.ours for one in rates[load]]
        alone, spun = [one.direct for one in rates[load]], [one.spinning for one in rates[load]]
        spreads = {
            "http": Spread.of(over),
            "direct": Spread.of(alone),
            "ratio": ratio(over, alone),
            "spinning": Spread.of(spun),
            "ratio_spinning": ratio(over, spun),
        }
        table.add_row(name, *(one.shown(2 if "ratio" in what else 0) for what, one in spreads.items()))
        figures[name] = {what: spread.as_dict() for what, spread in spreads.items()}
    console.print(table)
    memory = {"start_seconds": server.start_seconds, "idle": idle, "worked": worked, "booked": booked}
    console.print(
        f"ready after {server.start_seconds:.1f} s; the worker held {idle >> 20} MiB then and {worked >> 20} MiB after "
        f"the rounds; {booked >> 20} MiB are booked for it"
    )
    keep(output, "embeddings", {"rates": figures, "memory": memory})
    console.print(f"figures in {output}")


def _measured(
    server: Server, direct: "subprocess.Popen[str]", spinning: "subprocess.Popen[str]", rounds: int, seconds: float
) -> dict[tuple[int, int], list[Rates]]:
    found: dict[tuple[int, int], list[Rates]] = {load: [] for load in LOADS}
    for load in LOADS:
        _over_http(server, *load, 1.0)
    for number in range(rounds):
        for batch, clients in LOADS:
            sides: dict[str, Callable[[], float]] = {
                "ours": partial(_over_http, server, batch, clients, seconds),
                "direct": partial(_directly, direct, batch, seconds),
                "spinning": partial(_directly, spinning, batch, seconds),
            }
            order = list(sides) if number % 2 == 0 else list(reversed(sides))
            taken = {name: sides[name]() for name in order}
            found[batch, clients].append(Rates(**taken))
    return found


def _over_http(server: Server, batch: int, clients: int, seconds: float) -> float:
    body = json.dumps({"model": MODEL, "input": texts(batch), "encoding_format": "base64"}).encode()
    counts = [0] * clients
    begun = time.perf_counter()

    def send(number: int) -> None:
        connection = HTTPConnection(urlsplit(server.url).netloc)
        while time.perf_counter() - begun < seconds:
            connection.request("POST", "/v1/embeddings", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise RuntimeError(content[:300])
            counts[number] += batch
        connection.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def _directly(direct: "subprocess.Popen[str]", batch: int, seconds: float) -> float:
    assert direct.stdin is not None
    assert direct.stdout is not None
    direct.stdin.write(f"{batch} {seconds}\n")
    direct.stdin.flush()
    count, taken = direct.stdout.readline().split()
    return int(count) / float(taken)


@contextmanager
def _direct(folder: Path, *settings: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "scripts.benchmarks.embeddings_direct", str(folder), *settings]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def _memory(server: Server) -> int:
    """Bytes that the worker has to itself."""
    workers = [one for one in server.tree() if "server.engines.worker.child" in one.cmdline()]
    return sum(psutil.Process(one.pid).memory_full_info().uss for one in workers)


def _booked(server: Server) -> int:
    """Bytes that the memory ledger holds for the model."""
    connection = HTTPConnection(urlsplit(server.url).netloc)
    connection.request("GET", f"/v1/models/{MODEL}")
    described = json.loads(connection.getresponse().read())
    connection.close()
    return int(described["models"]["embedding"]["memory"]["held"]["host"])
