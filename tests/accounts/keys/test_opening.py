"""What can be wrong with a data folder, a database or a secret at the start: each is one line, and changes nothing."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from server.accounts.administration import Administration
from server.accounts.keys.secret import SecretError
from server.accounts.keys.service import Accounts
from server.settings import Settings
from server.storage.folder import FolderLock, prepare
from server.storage.opening import DatabaseError

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


async def first_start(settings: Settings) -> str:
    """Returns the first key."""
    async with await Accounts.open(settings) as accounts:
        key = await accounts.ensure_first_key()
    assert key is not None
    return key


async def refusal(settings: Settings) -> str:
    """The one line that a start ends with."""
    with pytest.raises((DatabaseError, SecretError)) as raised:
        await Accounts.open(settings, check=True)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(("SAGEHOLD_DATA_DIR: ", "SAGEHOLD_DATABASE_URL: "))
    return str(raised.value)


def garbled(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10_000])


def spoilt(path: Path) -> None:
    """Pages in the midst are not what they were."""
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + bytes(40_000) + whole[48_192:])


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")


def foreign_with_alembic(path: Path) -> None:
    foreign(path)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('0001')")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (garbled, "is not an SQLite database: it is damaged, or another program's"),
    (truncated, "is damaged ("),
    (spoilt, "is damaged ("),
    (foreign, "is another program's database"),
    (foreign_with_alembic, "is another program's database"),
    (folder, "is a folder; the database is a file"),
    (empty, "is empty (0 bytes), and keys.secret shows that there was one"),
    (gone, "is gone, and keys.secret shows that there was one"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
async def test_a_database_that_is_none_of_ours_stops_the_start(
    fault: Callable[[Path], None], words: str, settings: Settings
) -> None:
    await first_start(settings)
    path = settings.data_dir / "sagehold.db"
    fault(path)
    before = path.read_bytes() if path.is_file() else None
    line = await refusal(settings)
    assert words in line
    assert str(path) in line
    assert (path.read_bytes() if path.is_file() else None) == before


async def test_a_start_that_was_cut_off_before_the_secret_goes_on(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "sagehold.db").touch()
    assert (await first_start(settings)).startswith("sk-sage-")


async def test_a_lost_secret_stops_the_start_and_the_right_one_ends_that(settings: Settings) -> None:
    key = await first_start(settings)
    secret = settings.data_dir / "keys.secret"
    kept = secret.read_bytes()
    secret.unlink()
    line = await refusal(settings)
    assert f"{secret} is gone, and 1 API keys were made under it" in line
    assert "sagehold restore" in line
    assert not secret.exists()
    secret.write_text("ab" * 32)
    assert f"{secret} does not belong to this database" in await refusal(settings)
    secret.write_bytes(kept)
    async with await Accounts.open(settings) as accounts:
        assert await accounts.authenticate(key) is not None


async def test_without_keys_a_lost_secret_is_made_anew(settings: Settings) -> None:
    async with await Accounts.open(settings):
        pass
    (settings.data_dir / "keys.secret").unlink()
    key = await first_start(settings)
    async with await Accounts.open(settings) as accounts:
        assert await accounts.authenticate(key) is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "64 hexadecimal digits"), (b"ab" * 31, "64 hexadecimal digits"), (b"\xff" * 64, "is damaged")],
)
async def test_a_damaged_secret_stops_the_start(content: bytes, words: str, settings: Settings) -> None:
    await first_start(settings)
    (settings.data_dir / "keys.secret").write_bytes(content)
    assert words in await refusal(settings)


async def test_a_folder_in_the_secrets_place_stops_the_start(settings: Settings) -> None:
    await first_start(settings)
    (settings.data_dir / "keys.secret").unlink()
    (settings.data_dir / "keys.secret").mkdir()
    assert "keys.secret can't be used: Is a directory" in await refusal(settings)


async def test_a_secret_that_others_could_read_is_closed(settings: Settings) -> None:
    await first_start(settings)
    (settings.data_dir / "keys.secret").chmod(0o644)
    async with await Accounts.open(settings):
        assert (settings.data_dir / "keys.secret").stat().st_mode & 0o777 == 0o600


async def forget_the_check(settings: Settings) -> None:
    """As a database of a version that kept none."""
    async with await Accounts.open(settings) as accounts, accounts.database.write() as session:
        await session.execute(text("DELETE FROM installation"))


def kept_check(settings: Settings) -> int:
    with closing(sqlite3.connect(settings.data_dir / "sagehold.db")) as connection:
        [count] = connection.execute("SELECT count(*) FROM installation WHERE name = 'secret_check'").fetchone()
    return int(count)


async def test_the_first_right_key_of_an_older_database_proves_the_secret(settings: Settings) -> None:
    key = await first_start(settings)
    await forget_the_check(settings)
    async with await Accounts.open(settings) as accounts:
        assert kept_check(settings) == 0
        await accounts.authenticate("sk-sage-" + "x" * 43)
        new = await accounts.create_key()
        await accounts.authenticate(new.key)  # made under the same secret, right or wrong: it proves nothing
    assert kept_check(settings) == 0
    async with await Accounts.open(settings) as accounts:
        assert await accounts.authenticate(key) is not None
    assert kept_check(settings) == 1
    (settings.data_dir / "keys.secret").write_text("ab" * 32)
    assert "does not belong to this database" in await refusal(settings)


async def test_a_foreign_secret_is_not_taken_for_an_older_databases_own(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    key = await first_start(settings)
    await forget_the_check(settings)
    (settings.data_dir / "keys.secret").write_text("ab" * 32)
    async with await Accounts.open(settings) as accounts:
        assert await accounts.authenticate(key) is None
    assert kept_check(settings) == 0
    assert "keys.secret is another installation's" in caplog.text
    assert key not in caplog.text


async def test_a_command_makes_nothing_where_no_server_is(tmp_path: Path) -> None:
    for words in ({}, {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'other' / 'a.db'}"}):
        settings = Settings(data_dir=tmp_path / "nowhere", **words)
        with pytest.raises(DatabaseError, match=rf"There is no folder {tmp_path}/nowhere, and nothing was made"):
            async with Administration.open(settings, create=False):
                pass
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(DatabaseError, match=rf"There is no database {tmp_path}/nowhere/sagehold.db"):
        async with Administration.open(Settings(data_dir=tmp_path / "nowhere"), create=False):
            pass
    assert list((tmp_path / "nowhere").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["nowhere"]


async def test_two_servers_may_share_a_folder_but_not_with_a_restore(settings: Settings) -> None:
    async with await Accounts.open(settings), await Accounts.open(settings):
        with pytest.raises(DatabaseError, match="is in use: stop the server"):
            FolderLock(settings.data_dir).claim()
    restoring = FolderLock(settings.data_dir)
    restoring.claim()
    assert "is being restored right now" in await refusal(settings)
    restoring.release()
    async with await Accounts.open(settings):
        pass


def test_a_data_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match=f"SAGEHOLD_DATA_DIR: can't make {tmp_path}/file: it is a file"):
        prepare(tmp_path / "file")
    prepare(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_a_database_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://sage:secret-word@/books?host={tmp_path}"
    line = await refusal(Settings(data_dir=tmp_path / "data", database_url=url))
    assert line.startswith(f"SAGEHOLD_DATABASE_URL: the database books on {tmp_path} can't be used: ")
    assert "secret-word" not in line
    refused = "postgresql+asyncpg://sage:secret-word@127.0.0.1:1/books"
    line = await refusal(Settings(data_dir=tmp_path / "data", database_url=refused))
    assert "on 127.0.0.1" in line
    assert "secret-word" not in line


async def test_a_database_that_the_server_does_not_have(tmp_path: Path, database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite's databases are files")
    url = database_url.replace("/test_", "/nothing_")
    line = await refusal(Settings(data_dir=tmp_path / "data", database_url=url))
    assert 'database "nothing_' in line
    assert "does not exist" in line


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+asyncpg://sage:secret-word@h:port/books", "it can't be read as a URL"),
        ("postgresql+asyncpg://sage:secret-word@127.0.0.1:99999/books", "the database books on 127.0.0.1"),
        ("postgresql+asyncpg://sage:secret-word@127.0.0.1:1/books?nonsense=1", "'nonsense'"),
    ],
)
async def test_a_database_url_that_makes_no_sense(url: str, words: str, tmp_path: Path) -> None:
    line = await refusal(Settings(data_dir=tmp_path / "data", database_url=url))
    assert line.startswith("SAGEHOLD_DATABASE_URL: ")
    assert words in line
    assert "secret-word" not in line


async def test_a_start_in_the_midst_of_a_restore_makes_no_database(settings: Settings) -> None:
    """The restored one takes its place, and all that the server writes would go with the one that it has made."""
    restoring = FolderLock(settings.data_dir)
    restoring.claim()  # the old database and its secret have been put aside
    assert "is being restored right now" in await refusal(settings)
    assert [path.name for path in settings.data_dir.iterdir()] == ["in-use.lock"]
    restoring.release()
