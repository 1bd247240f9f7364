"""The application over fake engines, with accounts, behind the HTTP server that it is served by, on a socket."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from server.accounts.administration import Administration
from server.accounts.keys.identity import SCOPES
from server.api.http1 import Http1Protocol
from server.settings import Settings
from server.testing import FakeServer


@contextmanager
def loopback() -> Iterator[tuple[str, str]]:
    """Its address, without /v1, and a key of an account of its own that may do everything."""
    opened: dict[str, str] = {}
    ready, end = threading.Event(), threading.Event()
    with TemporaryDirectory() as folder:
        thread = threading.Thread(target=lambda: asyncio.run(_serve(Path(folder), opened, ready, end)), daemon=True)
        thread.start()
        try:
            if not ready.wait(60) or not opened:
                raise RuntimeError("the server over fake engines does not start")
            yield opened["url"], opened["key"]
        finally:
            end.set()
            thread.join(30)


async def _serve(folder: Path, opened: dict[str, str], ready: threading.Event, end: threading.Event) -> None:
    settings = Settings(data_dir=folder / "data", models_dir=folder / "models", model_configs=folder / "configs")
    async with AsyncExitStack() as held:
        administration = await held.enter_async_context(Administration.open(settings))
        accounts, ledger = administration.accounts, administration.ledger
        fake = await held.enter_async_context(FakeServer(settings, accounts=accounts, bank=ledger))
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
