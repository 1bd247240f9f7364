"""Ada's things as Eve meets them by every route, on both databases; see scripts/attacks/knowledge.py, which asks for
them by more names.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event

from scripts.attacks.knowledge import _rights, _unmoved, differences, hers_of, routes, shown, state
from server.settings import Settings
from server.testing import FakeServer
from tests.accounts.conftest import _migrate, migrated_file, migrated_url
from tests.api.asksage.conftest import Town, town_of
from tests.api.test_scopes import api_routes
from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

__all__ = ["migrated_file", "migrated_url"]


@pytest.fixture(scope="session")
def migrated_name(postgres: Postgres) -> str:
    asyncio.run(_migrate(postgres.create("migrated_asksage")))
    return "migrated_asksage"


@pytest.fixture
async def both(migrated_url: str, settings: Settings) -> AsyncIterator[Town]:
    # Eve is in the place that other tests give to Bob.
    async with town_of(settings.model_copy(update={"database_url": migrated_url}), "ada", "eve") as town:
        yield town


async def test_what_is_anothers_is_answered_as_what_is_not_there_and_by_the_same_work(both: Town) -> None:
    hers = await hers_of(both.ada)
    before = await state(both.ada, hers)
    engine = both.administration.accounts.database.engine
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def work() -> list[str]:
        done = [one for one in statements if any(f" {table} " in f"{one} " for table in TABLES)]
        statements.clear()
        return done

    event.listen(engine, "before_cursor_execute", note)
    count, wrong = await differences(both.bob, hers, few=True, work=work)
    event.remove(engine, "before_cursor_execute", note)
    assert count > 80
    assert wrong == []
    assert await shown(both.bob, hers) == []
    assert await state(both.ada, hers) == before


TABLES = ("datasets", "dataset_assignments", "chunks", "chat_sessions", "prompt_log")
"""What a request about somebody's things looks at. Other statements belong to work that goes on beside it: the look for
documents that wait, when a key was used last, and the server's own sign of life."""


async def test_rights_count_at_once_and_others_documents_move_nothing(both: Town) -> None:
    await hers_of(both.ada)
    for row in (await _rights(both.ada, both.bob), await _unmoved(both.ada, both.bob, 1)):
        assert row.held, row


def test_every_route_is_tried(settings: Settings) -> None:
    paths = [route.path for route in api_routes(FakeServer(settings))]
    dialect = {path for path in paths if path.startswith(("/server/", "/user/")) and "/v1/" not in path}
    native = {path for path in paths if path.startswith(("/v1/datasets", "/v1/documents"))}
    assert dialect | native == routes() - {"/metrics"}
