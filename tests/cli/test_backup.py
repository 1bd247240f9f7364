"""`sagehold backup` and `sagehold restore`: one file, whole or not at all, and a folder that is never half restored."""

import errno
import io
import json
import multiprocessing
import os
import signal
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import build
from server.accounts.administration import Administration
from server.accounts.keys.secret import load_secret
from server.accounts.ledger.ledger import Ledger
from server.cli import backup
from server.core import Caller
from server.jobs.responses.responses import Responses
from server.settings import Settings
from server.storage import archive
from server.storage.database import Database
from server.storage.folder import FolderLock
from tests.jobs.responses.conftest import message, turn

Call = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def call(data: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(data))
    return lambda *words: CliRunner().invoke(build(words[0]), list(words))


async def _fill(data: Path) -> str:
    async with Administration.open(Settings(data_dir=data)) as administration:
        account, _ = await administration.create_account("team", credits=Decimal("12.5"))
        (data / "first_seen.json").write_text('{"chat": 1}')
        return (await administration.accounts.create_key(account=account.id)).key


@pytest.fixture
def key(data: Path) -> str:
    """Of the account `team`, which has 12.5 credits."""
    return anyio.run(_fill, data)


def whose(data: Path, key: str) -> tuple[Caller | None, Decimal]:
    async def ask() -> tuple[Caller | None, Decimal]:
        async with Administration.open(Settings(data_dir=data), create=False) as administration:
            caller = await administration.accounts.authenticate(key)
            account = await administration.accounts.find_account("team")
            assert await administration.ledger.discrepancies() == []
            return caller, (await administration.ledger.balance(account.id)).balance

    return anyio.run(ask)


def manifest_of(file: Path) -> dict[str, object]:
    with tarfile.open(file) as opened:
        member = opened.extractfile(archive.MANIFEST)
        assert member is not None
        return dict(json.load(member))


def test_a_restored_server_knows_the_keys_and_has_the_balances(
    call: Call, data: Path, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b.tar"
    made = call("backup", str(file))
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith(f"Wrote {file}: sagehold.db, keys.secret, first_seen.json; ")
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(manifest_of(file)) == {"format", "sagehold", "schema", "created", "files"}
    assert {path.name for path in tmp_path.iterdir()} == {"data", "b.tar"}
    monkeypatch.setenv("SAGEHOLD_DATA_DIR", str(tmp_path / "new" / "data"))
    restored = call("restore", str(file))
    assert restored.exit_code == 0, restored.output
    caller, balance = whose(tmp_path / "new" / "data", key)
    assert caller is not None
    assert balance == Decimal("12.5")
    names = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new" / "data").iterdir()}
    assert names == dict.fromkeys(("sagehold.db", "keys.secret", "first_seen.json", "in-use.lock"), 0o600)
    assert (tmp_path / "new" / "data" / "first_seen.json").read_text() == '{"chat": 1}'


def test_a_file_that_is_there_is_replaced_only_when_that_is_asked_for(call: Call, key: str, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    file.write_text("last week's")
    refused = call("backup", str(file))
    assert (refused.exit_code, refused.stderr) == (2, f"sagehold: {file} is there already; --force replaces it\n")
    assert file.read_text() == "last week's"
    assert call("backup", "--force", str(file)).exit_code == 0
    assert manifest_of(file)["format"] == 1


@pytest.mark.parametrize("name", ["sagehold.db", "sagehold.db-wal", "keys.secret"])
def test_a_backup_takes_no_place_of_the_servers_own_files(call: Call, data: Path, key: str, name: str) -> None:
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    refused = call("backup", "--force", str(data / name))
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"sagehold: {data / name} is the server's own: write the backup elsewhere\n",
    )
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_backup_is_of_one_moment_while_others_write(call: Call, data: Path, key: str, tmp_path: Path) -> None:
    """What is written after its beginning is not in it, and a writer is not kept waiting."""

    def look(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT count(*) FROM accounts").fetchone()
        with closing(sqlite3.connect(data / "sagehold.db", timeout=0)) as writer, writer:
            writer.execute("UPDATE balances SET available = available + 1")

    with archive.snapshot(data / "sagehold.db", tmp_path / "x", look) as (copy, _):
        (tmp_path / "copy.db").write_bytes(copy.read())
    for path, available in ((tmp_path / "copy.db", 12_500_000_000), (data / "sagehold.db", 12_500_000_001)):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT available FROM balances").fetchall() == [(available,)]


def test_nothing_is_restored_under_a_running_server(call: Call, data: Path, key: str, tmp_path: Path) -> None:
    call("backup", str(tmp_path / "b.tar"))
    lock = FolderLock(data)
    lock.share()
    for words in ((), ("--force",)):
        refused = call("restore", str(tmp_path / "b.tar"), *words)
        assert refused.exit_code == 2
        assert (
            refused.stderr
            == f"sagehold: nothing was restored: {data} is in use: stop the server that works there first.\n"
        )
    lock.release()


def test_what_was_there_is_kept_aside(call: Call, data: Path, key: str, tmp_path: Path) -> None:
    call("backup", str(tmp_path / "b.tar"))
    (data / "sagehold.db-wal").write_bytes(b"of the database that was there")  # it would be played into the new one
    before = (data / "sagehold.db").read_bytes()
    refused = call("restore", str(tmp_path / "b.tar"))
    assert refused.exit_code == 2
    assert f"{data}/sagehold.db is there already; --force puts it aside" in refused.stderr
    assert (data / "sagehold.db").read_bytes() == before
    done = call("restore", "--force", str(tmp_path / "b.tar"))
    assert done.exit_code == 0, done.output
    [aside] = data.glob("before-restore-*")
    assert f"What was there before is in {aside}." in done.stdout
    assert {path.name for path in aside.iterdir()} >= {
        *("sagehold.db", "sagehold.db-wal", "keys.secret", "first_seen.json"),
    }
    assert not (data / "sagehold.db-wal").exists()
    assert whose(data, key)[1] == Decimal("12.5")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b"SQLite format 3") + 5000] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:70_000])


def smuggle(file: Path) -> None:
    with tarfile.open(file, "a") as opened:
        opened.addfile(tarfile.TarInfo("../outside"), io.BytesIO())


def repeat(file: Path) -> None:
    with tarfile.open(file, "a") as opened:
        member = tarfile.TarInfo("keys.secret")
        member.size = 65
        opened.addfile(member, io.BytesIO(b"ab" * 32 + b"\n"))


def other_format(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"format": 1', b'"format": 9'))


def no_tar(file: Path) -> None:
    file.write_bytes(os.urandom(5000))


def other_tar(file: Path) -> None:
    with tarfile.open(file, "w") as opened:
        opened.addfile(tarfile.TarInfo("holiday.jpg"), io.BytesIO())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (flip, "sagehold.db in it is damaged: its SHA-256 is not the manifest's"),
        (cut, "it is cut off"),
        (smuggle, "it holds other files than its manifest names"),
        (repeat, "it holds other files than its manifest names"),
        (other_format, "it has the format 9; this sagehold reads 1"),
        (no_tar, "it is no backup of sagehold's"),
        (other_tar, "it is no backup of sagehold's"),
        (Path.unlink, "No such file or directory"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_backup_that_is_damaged_or_none_is_refused_and_touches_nothing(
    fault: Callable[[Path], None], words: str, call: Call, data: Path, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "b.tar"
    call("backup", str(file))
    fault(file)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    refused = call("restore", "--force", str(file))
    assert refused.exit_code == 2
    [line] = refused.stderr.splitlines()
    assert words in line
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_backup_of_a_newer_version_is_refused(call: Call, data: Path, key: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "sagehold.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert call("backup", str(tmp_path / "b.tar")).exit_code == 0
    assert "a newer sagehold made it (schema 9999" in call("restore", "--force", str(tmp_path / "b.tar")).stderr


def test_a_secret_that_is_not_the_databases_own_is_not_backed_up(
    call: Call, data: Path, key: str, tmp_path: Path
) -> None:
    (data / "keys.secret").write_text("ab" * 32)
    refused = call("backup", str(tmp_path / "b.tar"))
    assert refused.exit_code == 2
    assert "keys.secret does not belong to the database" in refused.stderr
    (data / "keys.secret").unlink()
    assert "keys.secret: without it no key would be known" in call("backup", str(tmp_path / "b.tar")).stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_without_a_server_nothing_is_made(call: Call, tmp_path: Path) -> None:
    refused = call("backup", str(tmp_path / "b.tar"))
    assert refused.exit_code == 2
    assert f"There is no database {tmp_path}/data/sagehold.db" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "program"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_postgresql_has_its_own_tools(
    command: str, program: str, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAGEHOLD_DATABASE_URL", "postgresql+asyncpg://a:secret-word@h/n")
    refused = call(command, str(tmp_path / "b.tar"))
    assert refused.exit_code == 2
    [line] = refused.stderr.splitlines()
    assert line.startswith("sagehold: SAGEHOLD_DATABASE_URL names a PostgreSQL database")
    assert program in line
    assert "secret-word" not in line


def _die_half_way(data: Path, file: Path) -> None:
    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    archive.sync_folder = kill
    real = Path.replace
    Path.replace = lambda self, target: kill()  # type: ignore[method-assign, assignment, return-value]
    try:
        backup.back_up(Settings(data_dir=data), file)
    finally:
        Path.replace = real  # type: ignore[method-assign]


def test_one_that_is_killed_leaves_no_half_file_and_the_next_replaces_its_leavings(
    call: Call, data: Path, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "b.tar"
    victim = multiprocessing.get_context("spawn").Process(target=_die_half_way, args=(data, file))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} == {"data", ".b.tar.part"}
    assert (tmp_path / ".b.tar.part").stat().st_mode & 0o777 == 0o600
    assert call("backup", str(file)).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"data", "b.tar"}


def test_two_backups_to_one_file_do_not_mix(call: Call, key: str, tmp_path: Path) -> None:
    with archive.part_of(tmp_path / "b.tar") as (draft, _):
        refused = call("backup", str(tmp_path / "b.tar"))
        assert refused.exit_code == 2
        assert "is under way" in refused.stderr
        draft.unlink()


def test_a_new_secret_ends_every_key_and_keeps_the_money(call: Call, data: Path, key: str) -> None:
    (data / "keys.secret").unlink()
    refused = call("keys", "list")
    assert refused.exit_code == 2
    assert "sagehold keys renew-secret" in refused.stderr
    done = call("keys", "renew-secret", "--yes")
    assert done.exit_code == 0, done.output
    assert "revoked 1 keys" in done.stdout
    assert whose(data, key) == (None, Decimal("12.5"))
    [act] = [one for one in json.loads(call("audit", "--json").stdout) if one["action"] == "secret.renew"]
    assert (act["actor"], act["details"]) == ("local", {"revoked": 1})
    assert whose(data, call("keys", "create", "--account", "team").stdout.strip())[0] is not None


def test_a_new_secret_says_what_can_not_be_read_any_more(call: Call, data: Path, key: str) -> None:
    async def keep(encrypted: int, plain: int) -> None:
        database = Database(f"sqlite+aiosqlite:///{data / 'sagehold.db'}")
        account = next(iter(await Ledger(database).balances()))
        for count, encrypt in ((encrypted, True), (plain, False)):
            settings = Settings(data_dir=data, encrypt_responses=encrypt)
            responses = Responses.over(settings, database, load_secret(data))
            for _ in range(count):
                await responses.store.keep(turn(account, "question", "answer"))
                await responses.conversations.create(account, {}, [message("a"), message("b")])
        await database.aclose()

    anyio.run(keep, 0, 1)
    refused = call("keys", "renew-secret")
    assert "Every API key ends. Go on?" in refused.output
    anyio.run(keep, 2, 1)
    refused = call("keys", "renew-secret")
    assert refused.exit_code == 1
    words = "4 responses and conversations are encrypted: they can't be read any more."
    assert f"Every API key ends. {words} Go on?" in refused.output
    assert whose(data, key)[0] is not None
    assert words in call("keys", "renew-secret", "--yes").stdout


def test_a_database_in_another_file_system_is_restored_too(
    call: Call, data: Path, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (data / "sagehold.db").rename(elsewhere / "books.db")
    monkeypatch.setenv("SAGEHOLD_DATABASE_URL", f"sqlite+aiosqlite:///{elsewhere}/books.db")
    call("backup", str(tmp_path / "b.tar"))
    (elsewhere / "books.db-journal").write_bytes(b"of the database that was there")  # it would be played back
    apart(monkeypatch, elsewhere)
    done = call("restore", "--force", str(tmp_path / "b.tar"))
    assert done.exit_code == 0, done.output
    [aside] = elsewhere.glob("before-restore-*")
    [other] = data.glob("before-restore-*")
    assert f"What was there before is in {aside} and {other}." in done.stdout
    assert {path.name for path in aside.iterdir()} >= {"books.db", "books.db-journal"}
    assert {path.name for path in other.iterdir()} == {"keys.secret", "first_seen.json"}
    assert {path.name for path in elsewhere.iterdir()} == {"books.db", aside.name}
    assert (elsewhere / "books.db").stat().st_mode & 0o777 == 0o600
    assert whose_settings(Settings(data_dir=data, database_url=os.environ["SAGEHOLD_DATABASE_URL"]), key) is not None


def apart(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let `folder` be in a file system of its own: no rename leads into it or out of it."""
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.is_relative_to(folder) != Path(target).is_relative_to(folder):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)


def whose_settings(settings: Settings, key: str) -> Caller | None:
    async def ask() -> Caller | None:
        async with Administration.open(settings, create=False) as administration:
            return await administration.accounts.authenticate(key)

    return anyio.run(ask)


def test_a_restore_that_fails_half_way_puts_everything_back(
    call: Call, data: Path, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("backup", str(tmp_path / "b.tar"))
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.parent.name.startswith(".restore-") and Path(target).name == "keys.secret":
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    failed = call("restore", "--force", str(tmp_path / "b.tar"))
    assert failed.exit_code == 2
    assert failed.stderr == f"sagehold: nothing was restored: {data}/keys.secret: No space left on device\n"
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    assert whose(data, key)[0] is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_the_folders_owner(call: Call, data: Path, key: str, tmp_path: Path) -> None:
    """The server runs as a user of its own, and could read neither secret nor database."""
    call("backup", str(tmp_path / "b.tar"))
    os.chown(data, 4711, 4712)
    (data / "in-use.lock").unlink()
    assert call("restore", "--force", str(tmp_path / "b.tar")).exit_code == 0
    names = ("sagehold.db", "keys.secret", "first_seen.json", "in-use.lock")
    assert {name: ((data / name).stat().st_uid, (data / name).stat().st_gid) for name in names} == dict.fromkeys(
        names, (4711, 4712)
    )
    assert call("keys", "renew-secret", "--yes").exit_code == 0
    assert (data / "keys.secret").stat().st_uid == 4711


def test_backups_that_run_beside_each_other_do_not_share_a_copy(
    key: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each opens its copy by name for a moment. Another's copy, opened by mistake, would leave its own empty."""
    connect = sqlite3.connect
    begun = []

    def another_begins(path: object, **options: Any) -> sqlite3.Connection:
        if not begun and str(path).endswith(".db") and ".b.tar." in str(path):
            begun.append(path)
            backup.back_up(Settings(data_dir=data), tmp_path / "b.tar")
        return connect(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", another_begins)
    backup.back_up(Settings(data_dir=data), tmp_path / "b.tar")
    assert begun
    with tarfile.open(tmp_path / "b.tar") as opened:
        assert opened.getmember("sagehold.db").size > 8192


@pytest.mark.parametrize("manifest", [b'{"format": 1, "files": {"a": {"bytes": Infinity}}}', b"[" * 100_000])
def test_a_manifest_that_is_nonsense_is_told(manifest: bytes) -> None:
    with pytest.raises(archive.ArchiveError, match="its manifest is damaged"):
        archive.Manifest.from_json(manifest)
