"""Connections beyond the limit, and those that ask for nothing."""

import asyncio
import json
import resource

import pytest

from server.api.connections import FILES, make_room
from server.api.http1 import Http1Protocol
from server.testing import FakeServer
from tests.api.listening import listening

pytestmark = pytest.mark.anyio


async def test_a_connection_too_many_is_told_so_and_leaves_the_others_alone(fake: FakeServer) -> None:
    async with listening(fake, Http1Protocol.bounded(connections=2)) as client:
        assert (await client.get("/health")).status_code == 200
        place = (client.base_url.host, client.base_url.port)
        _, second = await asyncio.open_connection(*place)
        reader, third = await asyncio.open_connection(*place)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in head.lower()
        assert json.loads(body)["error"]["code"] == "server_is_overloaded"
        assert (await client.get("/health")).status_code == 200
        second.close()
        third.close()


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: set_to.append(both))
    for limits in ((256, 10_000), (256, 512), (10_000, 10_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        make_room(100)
    assert set_to == [(100 + FILES, 10_000), (512, 512)]
