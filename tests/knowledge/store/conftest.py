"""Three accounts, and datasets that nobody searches."""

from pathlib import Path

import pytest

from server.accounts.keys.service import Accounts
from server.core import Caller
from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.removal import Removal
from tests.knowledge.store.plain_index import PlainIndex
from tests.knowledge.store.shelf import Shelf


@pytest.fixture
def shelf(accounts: Accounts, tmp_path: Path) -> Shelf:
    database, index, spool = accounts.database, PlainIndex(), tmp_path / "data" / "documents"
    removal = Removal(database, index, spool)
    return Shelf(database, index, spool, removal, Datasets(database, index, removal), Documents(database, removal))


async def _caller(accounts: Accounts, name: str) -> Caller:
    account = await accounts.create_account(name, metered=False)
    return Caller(key_id="local", account_id=account.id)


@pytest.fixture
async def ann(accounts: Accounts) -> Caller:
    return await _caller(accounts, "ann")


@pytest.fixture
async def bob(accounts: Accounts) -> Caller:
    return await _caller(accounts, "bob")


@pytest.fixture
async def eve(accounts: Accounts) -> Caller:
    return await _caller(accounts, "eve")
