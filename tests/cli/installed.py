"""A data folder as the first start of a server leaves it."""

from pathlib import Path

import anyio

from server.accounts.keys.service import Accounts
from server.settings import Settings


def install(data_dir: Path) -> Path:
    """Set a server up in `data_dir`; returns it. Commands work only where one is."""

    async def start_and_end() -> None:
        async with await Accounts.open(Settings(data_dir=data_dir)):
            pass

    anyio.run(start_and_end)
    return data_dir
