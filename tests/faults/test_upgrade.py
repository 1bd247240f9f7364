"""What a real server does at its start with a database that is empty, older or newer than itself."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from server.accounts.keys import credentials
from server.accounts.keys.secret import load_secret
from server.storage.database import Database, known_revisions
from tests.faults.served import begun, sagehold, serving, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

NEWEST = max(known_revisions())


async def run(database: Database, statement: str, **values: object) -> None:
    async with database.write() as session:
        await session.execute(text(statement), values)


async def test_an_empty_database_is_made(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path, database_url) as served:
        served.stop()
    assert "default" in sagehold(settings_in(tmp_path, database_url), "accounts", "list")


async def test_an_older_database_is_upgraded_and_its_keys_go_on_working(tmp_path: Path, database_url: str) -> None:
    settings = settings_in(tmp_path, database_url)
    key, secret = credentials.generate_key(), load_secret(settings.data_dir)
    database = Database(database_url)
    await database.migrate("0001")
    await run(
        database,
        "INSERT INTO accounts (id, name, metered, created_at) VALUES ('acct_1', 'old', TRUE, '2026-01-01 00:00:00')",
    )
    await run(
        database,
        "INSERT INTO api_keys (id, account_id, prefix, fingerprint, name, scopes, created_at) "
        "VALUES ('key_1', 'acct_1', :prefix, :fingerprint, '', 'inference', '2026-01-01 00:00:00')",
        prefix=credentials.lookup_prefix(key),
        fingerprint=credentials.fingerprint(key, secret),
    )
    await database.aclose()
    with serving(tmp_path, database_url) as served:
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.get(f"{served.url}/v1/credits", headers=headers, trust_env=False, timeout=60)
        assert answer.json() == {"account": "acct_1", "balance": 0, "available": 0, "held": 0, "metered": True}
        served.stop()
    assert f"upgraded the database from schema 0001 to schema {NEWEST}" in (tmp_path / "log").read_text()


async def test_a_newer_database_is_refused_in_words_and_left_alone(tmp_path: Path, database_url: str) -> None:
    database = Database(database_url)
    await database.migrate()
    await run(database, "UPDATE alembic_version SET version_num = '9999'")
    with begun(tmp_path, database_url) as process:
        assert process.wait(60) == 2
    log = (tmp_path / "log").read_text()
    assert f": The database was written by a newer sagehold (schema 9999; this one knows up to {NEWEST})." in log
    assert "restore the backup" in log
    assert "Traceback" not in log
    async with database.read() as session:
        assert await session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    await database.aclose()
