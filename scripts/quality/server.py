"""The server under measurement: a real one, with keys, on a free port, and an account that pays with credits."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx

from scripts.benchmarks.processes import Server, serving
from scripts.benchmarks.sides import sagehold

CREDITS = Decimal(10**6)
"""More than a measurement can spend."""
LONGEST_ANSWER = 900.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A ready server and the key of the account that pays."""

    server: Server
    key: str

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx.AsyncClient, None]:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(
            base_url=self.server.url, headers=headers, timeout=LONGEST_ANSWER, trust_env=False
        ) as client:
            yield client


@contextmanager
def measured(models: Sequence[str], models_dir: Path, configs: Path, folder: Path) -> Generator[Measured, None, None]:
    """A server of these models for the length of the block; data and log lie in `folder`. Raises StartError."""
    data = folder / "data"
    key = asyncio.run(_payer(data))
    side = sagehold(
        data,
        model=",".join(models),
        models_dir=models_dir.resolve(),
        configs=configs.resolve(),
        environment={"SAGEHOLD_AUTH": "keys", "SAGEHOLD_LOG_LEVEL": "warning"},
    )
    with serving(side, folder) as server:
        yield Measured(server, key)


async def _payer(data: Path) -> str:
    """The key of a metered account without limits."""
    from server.accounts.administration import Administration
    from server.settings import Settings

    async with Administration.open(Settings(data_dir=data)) as administration:
        account, _ = await administration.create_account("measured", credits=CREDITS)
        return (await administration.accounts.create_key(account=account.id)).key
