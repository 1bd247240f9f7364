"""A server over fake engines with kept files, and clients of two accounts."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.accounts.administration import Administration
from server.jobs.files.store import Files
from server.settings import Settings
from server.testing import FakeServer
from tests.accounts.conftest import Clock, migrated_file

__all__ = ["desk", "migrated_file"]


@dataclass
class Desk:
    """ada, bob, admin: clients with keys of accounts of their own. folder: where the files lie."""

    fake: FakeServer
    files: Files
    folder: Path
    clock: Clock
    administration: Administration
    ada: httpx.AsyncClient
    bob: httpx.AsyncClient
    admin: httpx.AsyncClient
    ada_key: str

    @property
    def names(self) -> list[str]:
        """Of all that lies in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
async def desk(settings: Settings, migrated_file: Path) -> AsyncIterator[Desk]:
    settings = settings.model_copy(update={"max_file": 2**20, "max_account_files": 3 * 2**20})
    settings.data_dir.mkdir(mode=0o700)
    shutil.copy(migrated_file, settings.data_dir / "sagehold.db")
    clock = Clock()
    async with Administration.open(settings) as administration:
        accounts = administration.accounts
        folder = settings.data_dir / "files"
        files = Files(
            accounts.database,
            folder,
            max_file=settings.max_file,
            max_account_files=settings.max_account_files,
            now=clock,
        )
        await files.start()
        async with FakeServer(settings, accounts=accounts) as fake:
            fake.services = replace(
                fake.services, files=files, ledger=administration.ledger, reports=administration.reports
            )
            fake.app.state.services = fake.services
            keys = []
            for name in ("ada", "bob"):
                await accounts.create_account(name, metered=False)
                keys.append((await accounts.create_key(account=name)).key)
            keys.append((await accounts.create_key(scopes=["admin"])).key)
            ada, bob, admin = (fake.client(key=key) for key in keys)
            yield Desk(fake, files, folder, clock, administration, ada, bob, admin, keys[0])
            for client in (ada, bob, admin):
                await client.aclose()


async def uploaded(
    client: httpx.AsyncClient,
    data: bytes = b"hello",
    name: str = "a.txt",
    purpose: str = "user_data",
    **fields: str,
) -> dict[str, Any]:
    answer = await client.post("/v1/files", data={"purpose": purpose, **fields}, files={"file": (name, data)})
    assert answer.status_code == 200, answer.text
    file: dict[str, Any] = answer.json()
    return file


def refused(answer: httpx.Response, status: int, param: str | None, code: str | None = "invalid_value") -> str:
    """The message of a refusal."""
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code), answer.text
    message: str = error["message"]
    return message
