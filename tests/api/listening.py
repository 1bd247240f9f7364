"""A fake server behind a real socket and the real HTTP server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn

from server.api.http1 import Http1Protocol
from server.testing import KEY, FakeServer


@asynccontextmanager
async def listening(fake: FakeServer, http: type[Http1Protocol] = Http1Protocol) -> AsyncIterator[httpx.AsyncClient]:
    config = uvicorn.Config(fake.app, http=http, ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Not `serve`, which would take the signals of the process that tests.
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await task
