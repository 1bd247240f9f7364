"""Where settings come from, which one wins, and how a wrong one is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings, SettingsError, load_settings, without_password


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SAGEHOLD_"):
            monkeypatch.delenv(name)


def config(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = folder / "sagehold.yaml"
    file.write_text(text)
    monkeypatch.setenv("SAGEHOLD_CONFIG", str(file))


def test_the_defaults_are_safe() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.auth) == ("127.0.0.1", 8000, "keys")
    assert settings.cors_origins == ()
    assert settings.image_input_hosts == ()
    assert settings.database.startswith("sqlite+aiosqlite:////")


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, monkeypatch, "port: 1\nhost: file\nlog_level: debug\n")
    monkeypatch.setenv("SAGEHOLD_PORT", "2")
    monkeypatch.setenv("SAGEHOLD_HOST", "environment")
    settings = load_settings(port=3, host=None)
    assert (settings.port, settings.host, settings.log_level) == (3, "environment", "debug")


def test_lists_are_comma_separated_in_the_environment_and_lists_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(tmp_path, monkeypatch, "models: [a, b]\n")
    monkeypatch.setenv("SAGEHOLD_CORS_ORIGINS", "https://a.example, https://b.example,")
    settings = load_settings()
    assert settings.models == ("a", "b")
    assert settings.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SAGEHOLD_PORT", "many", "SAGEHOLD_PORT: "),
        ("SAGEHOLD_PORT", "65536", "less than or equal to 65535"),
        ("SAGEHOLD_AUTH", "none", "'keys' or 'off'"),
        ("SAGEHOLD_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("SAGEHOLD_MAX_BODY", "0", "SAGEHOLD_MAX_BODY: "),
        ("SAGEHOLD_PUBLIC_URL", "not a url", "SAGEHOLD_PUBLIC_URL: "),
        (
            "SAGEHOLD_LIVE_HOSTS",
            "a.example,http://b.example",
            "SAGEHOLD_LIVE_HOSTS: http://b.example is no host: write",
        ),
        ("SAGEHOLD_LIVE_HOSTS", "*.example", "*.example is no host"),
        (
            "SAGEHOLD_IMAGE_INPUT_HOSTS",
            "a.example/pictures",
            "SAGEHOLD_IMAGE_INPUT_HOSTS: a.example/pictures is no host",
        ),
        ("SAGEHOLD_DOCUMENT_MEMORY", "1", "SAGEHOLD_DOCUMENT_MEMORY: "),
        ("SAGEHOLD_PROT", "1", "SAGEHOLD_PROT: there is no such setting; did you mean SAGEHOLD_PORT?"),
        ("SAGEHOLD_CONFIG", "/nowhere/at.yaml", "there is no file /nowhere/at.yaml"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEHOLD_PORT", "x")
    monkeypatch.setenv("SAGEHOLD_AUTH", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, monkeypatch, "prot: 9000\n")
    with pytest.raises(SettingsError, match="prot: there is no such setting; did you mean port"):
        load_settings()


@pytest.mark.parametrize("hosts", ["*", "a.example,b-1.example:8443,under_score.local", "10.0.0.1:80", "[::1]:80"])
def test_hosts_are_taken_as_they_are_compared(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    monkeypatch.setenv("SAGEHOLD_LIVE_HOSTS", hosts)
    assert load_settings().live_hosts == tuple(hosts.split(","))


@pytest.mark.parametrize("text", ["port: [", "- just\n- a list\n", "\tport: 1\n"])
def test_a_file_that_is_no_yaml_mapping_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    config(tmp_path, monkeypatch, text)
    with pytest.raises(SettingsError, match=r"sagehold\.yaml"):
        load_settings()


def test_an_empty_file_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, monkeypatch, "# nothing yet\n")
    assert load_settings().model_dump() == Settings().model_dump()


def test_settings_are_frozen_and_every_one_is_documented() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("DATABASE_URL", "postgresql://a:secret-word@h/n", "begin it with postgresql+asyncpg://, not with postgresql:"),
        ("DATABASE_URL", "postgres://a:secret-word@h/n", "begin it with postgresql+asyncpg://, not with postgres:"),
        ("DATABASE_URL", "sqlite:///a.db", "begin it with sqlite+aiosqlite:///, not with sqlite:"),
        ("DATABASE_URL", "postgresql+psycopg2://a:secret-word@h/n", "begin it with postgresql+asyncpg://"),
        ("DATABASE_URL", "mysql://a:secret-word@h/n", "it begins with sqlite+aiosqlite:/// or postgresql+asyncpg://"),
        ("DATABASE_URL", "sqlite+aiosqlite:///:memory:", "name a file: sqlite+aiosqlite:///PATH"),
        ("DATABASE_URL", "sqlite+aiosqlite:///", "name a file: sqlite+aiosqlite:///PATH"),
        ("OTLP_ENDPOINT", "http://a:secret-word@h:99999", "invalid port number"),
        ("OTLP_ENDPOINT", "ftp://a:secret-word@h", "URL scheme should be 'http' or 'https'"),
        ("LIMITS_URL", "memcached://:secret-word@h", "it begins with one of memory://, redis://"),
        ("LIMITS_URL", "localhost:6379", "not with localhost:"),
    ],
)
def test_urls_of_stores_are_checked_and_passwords_not_shown(
    setting: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SAGEHOLD_{setting}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    [line] = str(raised.value).splitlines()
    assert line.startswith(f"SAGEHOLD_{setting}: ")
    assert message in line
    assert "secret-word" not in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql+asyncpg://me:secret-word@h:5432/n?ssl=require",
            "postgresql+asyncpg://me:***@h:5432/n?ssl=require",
        ),
        ("postgresql+asyncpg://me:secret-word/@1@h/n", "postgresql+asyncpg://me:***@h/n"),
        ("postgresql+asyncpg://me@h/n?host=/run&password=secret-word&port=1", None),
        ("redis://:secret-word@h:6379/0", "redis://:***@h:6379/0"),
        ("https://secret-word@h/x", None),
        ("https://h/?a=1&Api_Key=secret-word&monkey=2", None),
        ("unix:///run/redis.sock?db=1&password=secret-word", "unix:///run/redis.sock?db=1&password=***"),
        ("sqlite+aiosqlite:////srv/a:b@c/sagehold.db", "sqlite+aiosqlite:////srv/a:b@c/sagehold.db"),
        ("http://collector:4318", "http://collector:4318"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str | None) -> None:
    assert without_password(url) == (shown or url.replace("secret-word", "***"))
