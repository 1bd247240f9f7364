"""Kept files that are read and sent at once: bounded, for one account and for all, however they end."""

from dataclasses import replace

import pytest

from server.errors import Overloaded, RateLimited
from server.jobs.files import places
from server.jobs.files.reading import OPEN, reading
from tests.jobs.files.conftest import Cabinet

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_OF_ONE", 2)
    monkeypatch.setattr(places, "MOST", 3)


async def test_an_account_has_so_many_open_and_all_have(cabinet: Cabinet) -> None:
    mine, theirs = await cabinet.keep(cabinet.ada), await cabinet.keep(cabinet.bob)
    held = [reading(mine), reading(mine)]
    with pytest.raises(RateLimited, match="more files at once") as refused:
        reading(mine)
    assert refused.value.headers["Retry-After"] == "1"
    held.append(reading(theirs))
    with pytest.raises(Overloaded, match="busy with files"):
        reading(theirs)
    assert [file.read() for file in held] == [b"hello"] * 3
    held.pop(0).close()
    with reading(mine) as file:
        assert file.read() == b"hello"
    for file in held:
        file.close()
        file.close()
    assert OPEN.taken == 0


async def test_one_that_is_not_there_is_not_counted(cabinet: Cabinet) -> None:
    kept = await cabinet.keep(cabinet.ada)
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            reading(replace(kept, path=kept.path.with_name("none")))
    assert OPEN.taken == 0


async def test_so_many_are_sent_at_once(cabinet: Cabinet) -> None:
    files = cabinet.files
    async with files.receive(cabinet.ada), files.receive(cabinet.ada):
        with pytest.raises(RateLimited):
            async with files.receive(cabinet.ada):
                pass
        async with files.receive(cabinet.bob):
            with pytest.raises(Overloaded):
                async with files.receive(cabinet.bob):
                    pass
    await cabinet.keep(cabinet.ada)
    assert files._arriving.taken == 0
