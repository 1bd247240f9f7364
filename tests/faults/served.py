"""`sagehold serve` in a process of its own over fake engines, to be attacked, killed and started again."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from server.accounts.administration import Administration
from server.accounts.keys.identity import NO_LIMITS
from server.core import Limits
from server.settings import Settings

REPOSITORY = Path(__file__).parents[2]
# On a busy machine more requests wait at once than a queue takes by default.
MODELS = """
name: {task}
engine: fake
serves: {task}
price: {{prompt_token: 0.1, completion_token: 1, audio_second: 1, character: 1, image: 1}}
max_queue: 1000
"""
STUCK = """
name: stuck
engine: fake
serves: chat
options: {pause: 3600}
price: {prompt_token: 0.1, completion_token: 1}
"""
"""Answers with one token and then works for an hour."""
BEGIN = """
import sys
from datetime import timedelta
from server.accounts.ledger import instances
from server.__main__ import main
instances.SILENCE = timedelta(seconds=float(sys.argv.pop(1)))
main()
"""

ASK: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 5}
COST = Decimal("5.2")
"""Of `ASK`: 2 tokens, answered by 5."""
NO_MORE: Mapping[str, str] = {}


def settings_in(folder: Path, database_url: str) -> Settings:
    return Settings(data_dir=folder / "data", models_dir=folder / "models", database_url=database_url)


@contextmanager
def begun(
    folder: Path,
    database_url: str,
    *,
    grace: float = 10,
    silence: float = 90,
    auth: str = "keys",
    models: Mapping[str, str] = NO_MORE,
    changed: str = "",
) -> Iterator[subprocess.Popen[str]]:
    """A server that was just started. Its log is `folder`/log.

    grace: seconds that answers get after SIGTERM. silence: seconds after which a server that does not beat is dead.
    models: further configs by name, in YAML. changed: Python that is run before the server.
    """
    configs = folder / "configs"
    configs.mkdir(exist_ok=True)
    for task in ("chat", "speech", "transcription", "image"):
        (configs / f"{task}.yaml").write_text(MODELS.format(task=task))
    for name, text in {"stuck": STUCK, **models}.items():
        (configs / f"{name}.yaml").write_text(text)
    command = [
        sys.executable,
        "-c",
        changed + BEGIN,
        str(silence),
        "serve",
        "--port",
        "0",
        "--model-configs",
        str(configs),
    ]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data"), "--auth", auth],
            cwd=REPOSITORY,
            env={**environment(database_url), "SAGEHOLD_SHUTDOWN_GRACE": str(grace)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def environment(database_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGEHOLD_")}
    return {**kept, "SAGEHOLD_DATABASE_URL": database_url}


def sagehold(settings: Settings, *arguments: str) -> str:
    """What a command prints that ends well, beside the running server."""
    variables = environment(settings.database) | {"SAGEHOLD_DATA_DIR": str(settings.data_dir)}
    command = [sys.executable, "-m", "server", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """As kill -9 and as a power cut: nothing is put in order."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


@contextmanager
def serving(folder: Path, database_url: str, **options: Any) -> Iterator[Served]:
    """A server that is ready."""
    with begun(folder, database_url, **options) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("ready"):
                break
        url = re.search(r"listens on (http://127\.0\.0\.1:\d+) ", said)
        assert url is not None, f"{said}\n{(folder / 'log').read_text()}"
        yield Served(url[1], process)


async def post(url: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of one request over a connection of its own, with next to no work on this side.

    Raises ConnectionError or IncompleteReadError where the answer is torn.
    """
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        content = json.dumps(body).encode()
        head = f"POST {address.path} HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + content)
        status, *rows = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        return int(status.split()[1]), headers, json.loads(await reader.readexactly(int(headers["content-length"])))
    finally:
        writer.close()


@dataclass(frozen=True)
class Payer:
    account: str
    key: str


async def payer(
    settings: Settings, name: str, granted: Decimal | int, *, limits: Limits = NO_LIMITS, metered: bool = True
) -> Payer:
    """A new account with credits and a key, as `sagehold accounts` and `sagehold keys` make them."""
    async with Administration.open(settings) as administration:
        account, _ = await administration.create_account(name, credits=Decimal(granted), metered=metered)
        return Payer(account.id, (await administration.accounts.create_key(account=account.id, limits=limits)).key)


async def lines(settings: Settings, account: str) -> list[tuple[str, Decimal]]:
    """The account's ledger as it lies in the database: kinds and amounts. Fails unless it sums up."""
    async with Administration.open(settings) as administration:
        assert await administration.ledger.discrepancies() == []
        entries = [(entry.kind, entry.amount) async for entry in administration.ledger.entries(account)]
    total = Decimal(0)
    for _, amount in entries:
        total += amount
        assert total >= 0, "the account was below zero for a moment"
    return entries


def charged(entries: list[tuple[str, Decimal]]) -> list[Decimal]:
    return [-amount for kind, amount in entries if kind == "charge"]
