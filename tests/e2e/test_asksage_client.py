"""Every method of Ask Sage's client for Python against real servers, on SQLite and on PostgreSQL, as its bytes go.

The methods are those of sage_wire.py; sage_checks.py says what must come of each.
"""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.e2e.conftest import installed
from tests.e2e.live import CHAT, START, LiveServer
from tests.e2e.sage_checks import CHECKS, JAPAN, PAYING, Desk
from tests.e2e.sage_wire import Wire
from tests.postgres import Postgres

MEMORY = "all-minilm-l6-v2"
"""The starter model that embeds."""

pytestmark = pytest.mark.timeout(START + 60)  # whichever is first on a server waits for its start


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def on(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The server that all tests share, and one with two models on a PostgreSQL of our own."""
    if request.param == "sqlite":
        yield request.getfixturevalue("server")
        return
    installed()
    postgres: Postgres = request.getfixturevalue("postgres")
    settings = {"database_url": postgres.create("asksage"), "models": f"{CHAT},{MEMORY}"}
    live = LiveServer(tmp_path_factory.mktemp("postgres"), settings=settings)
    try:
        live.wait_announced()
        live.wait_ready(fresh=True)
        yield live
    finally:
        live.stop()


@pytest.fixture(scope="module")
def desk(on: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    def make(email: str, key: str) -> Wire:
        return Wire(email, key, f"{on.url}/user", f"{on.url}/server")

    on.command("accounts", "create", "ann", "--email", PAYING)
    admin = on.command("keys", "create", "--scopes", "admin")
    return Desk(make, on.key, admin, tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("check", CHECKS)
def test_the_client(desk: Desk, check: str) -> None:
    CHECKS[check](desk)


def test_a_doubled_slash_leads_to_the_same(on: LiveServer) -> None:
    """A base URL that ends with one, as people write it."""
    client = Wire("me@example.org", on.key, f"{on.url}/user/", f"{on.url}/server/")
    assert "Tokyo" in client.query(JAPAN, dataset="none")["message"]


def test_the_openai_sdk_under_server(on: LiveServer) -> None:
    with on.client(base_url=f"{on.url}/server/v1") as sdk:
        assert isinstance(sdk, OpenAI)
        assert "gpt-4o-mini" in {model.id for model in sdk.models.list()}
        answer = sdk.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": JAPAN}], temperature=0, max_tokens=60
        )
    assert "Tokyo" in (answer.choices[0].message.content or "")
