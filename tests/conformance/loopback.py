"""The application over fake engines, with accounts, behind the HTTP server that it is served by, on a socket."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from server.accounts.administration import Administration
from server.accounts.keys.identity import SCOPES
from server.api.http1 import Http1Protocol
from server.core import Task
from server.settings import Settings
from server.testing import FakeServer


@dataclass(frozen=True)
class Fakes:
    """options: the fake engines' own, by task. senses: the chat model's."""

    options: Mapping[Task, Mapping[str, Any]] = field(default_factory=dict)
    senses: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def loopback(fakes: Fakes | None = None) -> Iterator[tuple[str, str]]:
    """Its address, without /v1, and a key of an account of its own that may do everything."""
    opened: dict[str, str] = {}
    ready, end = threading.Event(), threading.Event()
    with TemporaryDirectory() as folder:
        serving = partial(_serve, Path(folder), fakes or Fakes(), opened, ready, end)
        thread = threading.Thread(target=lambda: asyncio.run(serving()), daemon=True)
        thread.start()
        try:
            if not ready.wait(60) or not opened:
                raise RuntimeError("the server over fake engines does not start")
            yield opened["url"], opened["key"]
        finally:
            end.set()
            thread.join(30)


async def _serve(
    folder: Path, fakes: Fakes, opened: dict[str, str], ready: threading.Event, end: threading.Event
) -> None:
    settings = Settings(data_dir=folder / "data", models_dir=folder / "models", model_configs=folder / "configs")
    async with AsyncExitStack() as held:
        administration = await held.enter_async_context(Administration.open(settings))
        accounts, ledger = administration.accounts, administration.ledger
        kept = FakeServer(
            settings, fakes.options, accounts=accounts, bank=ledger, senses=fakes.senses, knowledge=accounts.database
        )
        fake = await held.enter_async_context(kept)
        fake.app.state.services = replace(fake.services, ledger=ledger, reports=administration.reports)
        owner = await accounts.create_account(f"of-{folder.name}", metered=False)
        opened["key"] = (await accounts.create_key(account=owner.id, scopes=SCOPES)).key
        server = uvicorn.Server(
            uvicorn.Config(fake.app, http=Http1Protocol, ws="none", log_config=None, access_log=False, lifespan="off")
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            opened["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            task = asyncio.create_task(server._serve(sockets=[listener]))
            ready.set()
            await asyncio.to_thread(end.wait)
            server.should_exit = True
            await task
