"""Knowledge as the composition root puts it together: for a server without keys, and for a command without a server."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from server.__main__ import build
from server.accounts.administration import Administration
from server.accounts.keys.anyone import ensure_anyone
from server.api.access import ANYONE
from server.app import create_app
from server.core import Caller
from server.knowledge.calls import LOCAL
from server.models.config.files import CatalogError
from server.services import build_services, knowledge_alone
from server.settings import Settings

pytestmark = pytest.mark.anyio

FAKE = "name: {task}\nengine: fake\nserves: {task}\nprice: {{prompt_token: 1}}\n"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    settings.model_configs.mkdir()
    for task in ("chat", "embedding", "score"):
        (settings.model_configs / f"{task}.yaml").write_text(FAKE.format(task=task))
    return settings


async def test_a_command_adds_and_searches_without_a_server_and_pays_nothing(settings: Settings) -> None:
    async with Administration.open(settings) as administration:
        account, _ = await administration.create_account("ada")
        caller = Caller(key_id=LOCAL, account_id=account.id)
        async with knowledge_alone(settings, administration.accounts) as knowledge:
            await knowledge.datasets.create(caller, "handbook")
            added = await knowledge.ingestion.add(caller, "handbook", "a.txt", b"Leave is 30 days a year.")
            assert [one async for one in knowledge.ingestion.follow(added.id)][-1].state == "ready"
            dataset = await knowledge.datasets.find(caller, "handbook")
            [passage] = await knowledge.retrieval.search(caller, "How long is leave?", [dataset], 3)
            assert (passage.filename, passage.chunk.text) == ("a.txt", "Leave is 30 days a year.")
        assert [one async for one in administration.ledger.entries(account.id)] == []


async def test_a_setting_that_names_no_model_is_the_operators(settings: Settings) -> None:
    wrong = settings.model_copy(update={"embedding_model": "nothing"})
    async with Administration.open(settings) as administration:
        with pytest.raises(CatalogError, match="SAGEHOLD_EMBEDDING_MODEL"):
            async with knowledge_alone(wrong, administration.accounts):
                pass
    with pytest.raises(CatalogError, match="SAGEHOLD_EMBEDDING_MODEL"):
        async with build_services(wrong):
            pass


async def test_without_keys_datasets_are_anyones(settings: Settings) -> None:
    settings = settings.model_copy(update={"auth": "off"})
    for _ in range(2):  # a second start finds the account
        async with build_services(settings) as services:
            app = create_app(settings, services)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                await client.post("/user/add-dataset", json={"dataset": "handbook"})
                body = {"dataset": "handbook", "data": ["Leave is 30 days."]}
                trained = (await client.post("/server/train-with-array", json=body)).json()
                assert (trained["status"], trained["document"]["chunks"]) == (200, 1), trained
                [name] = (await client.post("/server/get-datasets")).json()["response"]
                assert name.endswith("_handbook_content")
    async with Administration.open(settings) as administration:
        [account] = await administration.accounts.list_accounts()
        assert (account.id, account.name, account.metered) == (ANYONE.account_id, "anyone", False)


async def test_somebody_is_called_anyone_already(settings: Settings) -> None:
    async with Administration.open(settings) as administration:
        await administration.create_account("anyone")
        for _ in range(2):
            await ensure_anyone(administration.accounts.database, ANYONE.account_id)
        names = [one.name for one in await administration.accounts.list_accounts()]
        assert names == ["anyone", f"anyone {ANYONE.account_id}"]
        numbers = [one.number for one in await administration.accounts.numbered()]
        assert len(set(numbers)) == 2


def check(settings: Settings, monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[int, str]:
    for name, value in variables.items():
        monkeypatch.setenv(f"SAGEHOLD_{name}", value)
    done = CliRunner().invoke(build("config"), ["config", "check", "--model-configs", str(settings.model_configs)])
    return done.exit_code, done.stderr


def test_config_check_says_what_knowledge_lacks(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEHOLD_MODELS_DIR", str(tmp_path))
    assert check(settings, monkeypatch) == (0, "")
    assert check(settings, monkeypatch, EMBEDDING_MODEL="embedding", RERANK_MODEL="score") == (0, "")
    code, said = check(settings, monkeypatch, EMBEDDING_MODEL="chat", RERANK_MODEL="none")
    assert code == 2
    for line in ("SAGEHOLD_EMBEDDING_MODEL: no model 'chat' that does embedding is installed; these are: embedding",):
        assert line in said
    monkeypatch.setenv("SAGEHOLD_EMBEDDING_MODEL", "embedding")
    code, said = check(settings, monkeypatch)
    assert code == 2
    assert "SAGEHOLD_RERANK_MODEL: no model 'none' that does score is installed; these are: score" in said
    for name in ("EMBEDDING_MODEL", "RERANK_MODEL"):
        monkeypatch.delenv(f"SAGEHOLD_{name}")
    (settings.model_configs / "embedding.yaml").unlink()
    code, said = check(settings, monkeypatch)
    assert (code, said) == (0, "info: no embedding model is installed: nothing can be added to datasets, nor found.\n")
