"""Kept files over accounts in real databases of either kind."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.accounts.keys.service import Accounts
from server.jobs.files.records import StoredFile
from server.jobs.files.store import Files
from server.storage.database import Database
from tests.accounts.conftest import Clock, _migrate, accounts, clock, make_settings, migrated_file, migrated_url
from tests.postgres import Postgres

__all__ = ["accounts", "clock", "make_settings", "migrated_file", "migrated_name", "migrated_url"]

KIB = 1024


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    """A fixture that comes from another folder is made anew here: its database needs a name of its own."""
    asyncio.run(_migrate(postgres.create("migrated_files")))
    return "migrated_files"


@dataclass
class Cabinet:
    """Files of ada and bob, each at most 64 KiB, and 100 KiB for an account."""

    files: Files
    folder: Path
    accounts: Accounts
    clock: Clock
    ada: str
    bob: str

    @property
    def database(self) -> Database:
        return self.files.database

    @property
    def names(self) -> list[str]:
        """Of all that lies in the folder."""
        return sorted(path.name for path in self.folder.iterdir())

    def another(self) -> Files:
        """Of another process, over the same database and folder."""
        return Files(self.database, self.folder, max_file=64 * KIB, max_account_files=100 * KIB, now=self.clock)

    async def keep(
        self, account_id: str, data: bytes = b"hello", name: str = "a.txt", lifetime: int | None = None
    ) -> StoredFile:
        async with self.files.receive(account_id) as incoming:
            incoming.write(data)
            return await self.files.keep(incoming, name, "user_data", lifetime)


@pytest.fixture
async def cabinet(accounts: Accounts, clock: Clock, tmp_path: Path) -> Cabinet:
    ada, bob = [(await accounts.create_account(name)).id for name in ("ada", "bob")]
    folder = tmp_path / "data" / "files"
    files = Files(accounts.database, folder, max_file=64 * KIB, max_account_files=100 * KIB, now=clock)
    await files.start()
    return Cabinet(files, folder, accounts, clock, ada, bob)
