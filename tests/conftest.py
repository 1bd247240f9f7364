"""What every test may use: asyncio as the backend, settings in a folder of the test's own, a server over fakes."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.settings import Settings
from server.testing import FakeServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "models", model_configs=tmp_path / "configs")


@pytest.fixture
async def fake(settings: Settings) -> AsyncIterator[FakeServer]:
    """A running server over fake engines; `fake.engines[Task.CHAT]` steers one of them."""
    async with FakeServer(settings) as server:
        yield server


@pytest.fixture
async def client(fake: FakeServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `fake` that has a key."""
    async with fake.client() as opened:
        yield opened
