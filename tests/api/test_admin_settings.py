"""GET /admin/v1/settings: what is in force, where it comes from, and no secret."""

from pathlib import Path
from typing import Any

import pytest

from server.core import Caller
from server.settings import Settings, load_settings
from server.testing import FakeServer

pytestmark = pytest.mark.anyio

ADMIN = "sk-sage-of-an-admin"


async def shown(settings: Settings) -> dict[str, dict[str, Any]]:
    """The rows by name."""
    fake = FakeServer(settings)
    fake.accounts.keys[ADMIN] = Caller("key_a", "acct_a", scopes=frozenset({"admin"}))  # type: ignore[attr-defined]
    async with fake, fake.client(key=ADMIN) as client:
        answer = await client.get("/admin/v1/settings")
    assert answer.status_code == 200, answer.text
    assert "secret-word" not in answer.text
    return {row["name"]: row for row in answer.json()["data"]}


async def test_each_setting_tells_where_its_value_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("max_body: 1MiB\nport: 1234\nqueue_timeout: 5\n")
    monkeypatch.setenv("SAGEHOLD_CONFIG", str(file))
    monkeypatch.setenv("SAGEHOLD_MODELS", "a, b")
    monkeypatch.setenv("SAGEHOLD_QUEUE_TIMEOUT", "6")
    rows = await shown(load_settings(port=4321, host=None, data_dir=tmp_path))
    assert list(rows) == [f"SAGEHOLD_{name.upper()}" for name in Settings.model_fields]
    found = {name: (row["value"], row["default"], row["source"]) for name, row in rows.items()}
    assert found["SAGEHOLD_PORT"] == ("4321", "8000", "flag")
    assert found["SAGEHOLD_HOST"] == ("127.0.0.1", "127.0.0.1", "default")
    assert found["SAGEHOLD_MAX_BODY"] == ("1MiB", "20MiB", "file")
    assert found["SAGEHOLD_MODELS"] == ("a,b", "", "environment")
    assert found["SAGEHOLD_ASKSAGE_STRICT_STATUS"] == ("false", "false", "default")
    assert found["SAGEHOLD_QUEUE_TIMEOUT"] == ("6.0", "60.0", "environment")
    assert rows["SAGEHOLD_PORT"]["description"] == "port to listen on; 0 takes a free one"
    assert not any(row["secret"] for row in rows.values())


async def test_no_secret_is_shown(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path,
        database_url="postgresql+asyncpg://me:secret-word@db.internal/sagehold?sslpassword=secret-word",
        limits_url="redis://:secret-word@cache:6379/0",
        otlp_endpoint="https://me:secret-word@collector:4318/?api_key=secret-word",
        searxng_url="http://search/?token=secret-word",
    )
    rows = await shown(settings)
    starred = {name: row["value"] for name, row in rows.items() if row["secret"]}
    assert starred == {
        "SAGEHOLD_DATABASE_URL": "postgresql+asyncpg://me:***@db.internal/sagehold?sslpassword=***",
        "SAGEHOLD_LIMITS_URL": "redis://:***@cache:6379/0",
        "SAGEHOLD_OTLP_ENDPOINT": "https://me:***@collector:4318/?api_key=***",
        "SAGEHOLD_SEARXNG_URL": "http://search/?token=***",
    }


async def test_settings_are_for_operators_only(fake: FakeServer) -> None:
    async with fake.client() as client:
        answer = await client.get("/admin/v1/settings")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
