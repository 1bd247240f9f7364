"""Whose word for the client's address is taken, and how far."""

import logging
from typing import Any

import pytest

from server.api.forwarded import TrustedProxies
from server.settings import Settings, SettingsError, load_settings
from server.testing import FakeServer

TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8:ffff::/48"])


def resolved(peer: str | None, *headers: tuple[str, str]) -> tuple[str | None, str]:
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "client": None if peer is None else (peer, 5),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    TRUSTED.resolve(scope)
    return scope["client"] and scope["client"][0], scope["scheme"]


XFF, XFP, FORWARDED = "x-forwarded-for", "x-forwarded-proto", "forwarded"


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.1", [(XFF, "198.51.100.7")], "203.0.113.1"),  # anyone may send it
        ("10.0.0.1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "203.0.113.9, 198.51.100.7, 10.0.0.2")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "203.0.113.9"), (XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),  # all trusted: the one that began
        ("10.0.0.1", [(XFF, "198.51.100.7, nonsense")], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7, unknown, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", [(XFF, "198.51.100.7:4711")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
        ("10.0.0.1", [(XFF, "2001:db8::1")], "2001:db8::1"),
        ("::ffff:10.0.0.1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("2001:db8:ffff::1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "::ffff:198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "")], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        (None, [(XFF, "198.51.100.7")], None),
        ("10.0.0.1", [(FORWARDED, "for=198.51.100.7;proto=https;by=10.0.0.1")], "198.51.100.7"),
        ("10.0.0.1", [(FORWARDED, 'For="[2001:db8::1]:4711", for=10.0.0.2')], "2001:db8::1"),
        ("10.0.0.1", [(FORWARDED, 'for="_hidden", for=10.0.0.2')], "10.0.0.2"),
        ("10.0.0.1", [(FORWARDED, 'for="a;b, for=198.51.100.7')], "10.0.0.1"),  # can't be read
        # A proxy that writes X-Forwarded-For passes on a Forwarded that the client made up.
        ("10.0.0.1", [(FORWARDED, "for=203.0.113.9"), (XFF, "198.51.100.7")], "198.51.100.7"),
    ],
)
def test_the_address_is_read_from_the_right_past_those_that_are_trusted(
    peer: str | None, headers: list[tuple[str, str]], client: str | None
) -> None:
    assert resolved(peer, *headers)[0] == client


@pytest.mark.parametrize(
    ("peer", "headers", "scheme"),
    [
        ("203.0.113.1", [(XFF, "198.51.100.7"), (XFP, "https")], "http"),
        ("10.0.0.1", [(XFF, "198.51.100.7"), (XFP, "HTTPS")], "https"),
        ("10.0.0.1", [(XFF, "198.51.100.7"), (XFP, "http, https")], "https"),
        ("10.0.0.1", [(XFF, "198.51.100.7"), (XFP, "javascript")], "http"),
        ("10.0.0.1", [(FORWARDED, "proto=http, for=198.51.100.7; proto=https, for=10.0.0.2;proto=http")], "https"),
    ],
)
def test_the_scheme_is_what_a_trusted_proxy_says(peer: str, headers: list[tuple[str, str]], scheme: str) -> None:
    assert resolved(peer, *headers)[1] == scheme


@pytest.mark.anyio
@pytest.mark.parametrize(("trusted", "seen"), [((), "127.0.0.1"), (("127.0.0.0/8",), "198.51.100.7")])
async def test_the_log_and_the_slowing_of_wrong_keys_go_by_it(
    settings: Settings, caplog: pytest.LogCaptureFixture, trusted: tuple[str, ...], seen: str
) -> None:
    caplog.set_level(logging.INFO, "sagehold.access")
    async with (
        FakeServer(settings.model_copy(update={"trusted_proxies": trusted})) as fake,
        fake.client(key="sk-wrong") as client,
    ):
        await client.get("/v1/models", headers={XFF: "198.51.100.7"})
        assert list(fake.services.failed_keys._failures) == [seen]
    [facts] = [vars(record)["request"] for record in caplog.records if record.name == "sagehold.access"]
    assert (facts["client"], facts["status"], facts["code"]) == (seen, 401, "invalid_api_key")


def test_what_is_no_network_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEHOLD_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1")
    assert load_settings().trusted_proxies == ("10.0.0.0/8", "2001:db8::1")
    monkeypatch.setenv("SAGEHOLD_TRUSTED_PROXIES", "10.0.0.0/8,nginx")
    with pytest.raises(SettingsError, match=r"^SAGEHOLD_TRUSTED_PROXIES: .*'nginx'"):
        load_settings()
