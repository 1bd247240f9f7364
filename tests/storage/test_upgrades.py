"""Databases of every older schema keep what they hold, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from server.accounts.keys import credentials
from server.accounts.keys.secret import load_secret
from server.accounts.keys.service import Accounts
from server.core import Priority
from server.settings import Settings
from server.storage import migrations
from server.storage.database import Database

pytestmark = pytest.mark.anyio

ACCOUNT = "INSERT INTO accounts (id, name, metered, created_at) VALUES ('acct_1', 'old', TRUE, '2026-01-01 00:00:00')"
KEY = (
    "INSERT INTO api_keys (id, account_id, prefix, fingerprint, name, scopes, created_at) "
    "VALUES ('key_1', 'acct_1', :prefix, :fingerprint, 'old', 'inference', '2026-01-01 00:00:00')"
)


def schemas() -> list[str]:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    return sorted(script.revision for script in scripts.walk_revisions())


@pytest.mark.parametrize("schema", schemas())
async def test_keys_of_an_older_database_work_as_before(database_url: str, tmp_path: Path, schema: str) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=database_url)
    key, secret = credentials.generate_key(), load_secret(settings.data_dir)
    database = Database(database_url)
    await database.migrate(schema)
    async with database.write() as session:
        await session.execute(text(ACCOUNT))
        values = {"prefix": credentials.lookup_prefix(key), "fingerprint": credentials.fingerprint(key, secret)}
        await session.execute(text(KEY), values)
    await database.aclose()
    async with await Accounts.open(settings) as accounts:
        caller = await accounts.authenticate(key)
        assert caller is not None
        assert (caller.key_id, caller.weight, caller.priority) == ("key_1", 1, Priority.NORMAL)
        [account] = await accounts.list_accounts()
        assert (account.name, account.closed_at, account.weight) == ("old", None, 1)
        [record] = await accounts.list_keys()
        assert (record.priority, record.models, record.expires_at) == (Priority.NORMAL, None, None)
        assert (await accounts.change_account("old", closed=True)).closed_at is not None
