"""Access tokens, on SQLite and on PostgreSQL: as good as their key, for a day."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from server.accounts.keys import credentials
from server.accounts.keys.service import Accounts
from server.accounts.keys.tokens import LIFETIME, MOST_LENGTH
from server.errors import AccountClosed

if TYPE_CHECKING:
    from tests.accounts.conftest import Clock

pytestmark = pytest.mark.anyio


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


async def issued(accounts: Accounts, key: str) -> str:
    token = (await accounts.exchange(key, None)).token
    assert token is not None
    return token


async def test_a_token_stands_for_its_key(accounts: Accounts) -> None:
    account = await accounts.create_account("team")
    new = await accounts.create_key(account="team", scopes={"usage"}, models={"gpt-4o"})
    token = await issued(accounts, new.key)
    assert await accounts.authenticate(token) == await accounts.authenticate(new.key)
    told = claims(token)
    assert jwt.get_unverified_header(token) == {"alg": "HS512", "typ": "JWT"}
    assert (told["api_key_id"], told["user_id"], told["auth_method"]) == (new.record.id, account.number, "api_key")
    assert told["exp"] - told["iat"] == 24 * 3600
    assert len(token) < MOST_LENGTH // 2
    assert claims(await issued(accounts, new.key))["jti"] != told["jti"]


async def test_a_token_ends_after_a_day(accounts: Accounts, clock: "Clock") -> None:
    token = await issued(accounts, (await accounts.create_key()).key)
    clock.forward(seconds=LIFETIME.total_seconds() - 1)
    assert await accounts.authenticate(token) is not None
    clock.forward(seconds=1)
    assert await accounts.authenticate(token) is None


async def test_a_token_ends_with_its_key_at_once(accounts: Accounts, clock: "Clock") -> None:
    revoked, expiring = await accounts.create_key(), await accounts.create_key(expires_at=clock() + timedelta(hours=1))
    tokens = [await issued(accounts, new.key) for new in (revoked, expiring)]
    for token in tokens:
        assert await accounts.authenticate(token) is not None
    await accounts.revoke_key(revoked.record.id)
    assert await accounts.authenticate(tokens[0]) is None
    clock.forward(hours=1)
    assert await accounts.authenticate(tokens[1]) is None


async def test_a_token_ends_while_its_account_is_closed(accounts: Accounts) -> None:
    await accounts.create_account("team")
    new = await accounts.create_key(account="team")
    token = await issued(accounts, new.key)
    await accounts.change_account("team", closed=True)
    assert await accounts.authenticate(token) is None
    with pytest.raises(AccountClosed):
        await accounts.exchange(new.key, None)
    await accounts.change_account("team", closed=False)
    assert await accounts.authenticate(token) is not None


async def test_no_token_is_made_for_what_is_no_key(accounts: Accounts) -> None:
    token = await issued(accounts, (await accounts.create_key()).key)
    for wrong in ("", "nonsense", "sk-sage-" + "x" * 43, token):
        found = await accounts.exchange(wrong, None)
        assert (found.account_id, found.token) == (None, None)


async def test_the_address_of_an_account_that_has_one(accounts: Accounts) -> None:
    account = await accounts.create_account("team", email="Ann@example.com")
    key = (await accounts.create_key(account="team")).key
    for right in ("ann@example.com", " ANN@Example.COM "):
        assert (await accounts.exchange(key, right)).token is not None
    for wrong in (None, "", "bob@example.com", "ann@example.co"):
        found = await accounts.exchange(key, wrong)
        assert (found.account_id, found.token) == (account.id, None)
    other = (await accounts.create_key()).key  # of `default`, which has none
    assert (await accounts.exchange(other, "anybody@example.com")).token is not None


async def test_what_nobody_here_has_signed(accounts: Accounts) -> None:
    token = await issued(accounts, (await accounts.create_key()).key)
    header, body, signature = token.split(".")
    told = claims(token)
    later = part(told | {"exp": told["exp"] + 3600})
    none = part({"alg": "none", "typ": "JWT"})
    public = part({"alg": "RS256", "typ": "JWT"})
    weaker = part({"alg": "HS256", "typ": "JWT"})
    by_nothing = base64.urlsafe_b64encode(hmac.digest(b"", f"{header}.{body}".encode(), "sha512")).rstrip(b"=").decode()
    forged = [
        f"{header}.{later}.{signature}",
        f"{header}.{body}.{signature[:-2]}AA",
        f"{header}.{body}.",
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{public}.{body}.{signature}",
        f"{weaker}.{body}.{signature}",
        f"{header}.{body}.{by_nothing}",
        f"{part({'alg': 'HS512', 'jwk': {'kty': 'oct', 'k': ''}})}.{body}.{by_nothing}",
        f"{part({'alg': 'HS512', 'crit': ['exp']})}.{body}.{signature}",
        f"{token}x",
        f"{token}.x",
        f"{header}.{part([1])}.{signature}",
        "eyJ..",
        "eyJ" + "[" * 700 + "..",
        f"{header}.{body}{'A' * MOST_LENGTH}.{signature}",
    ]
    assert await accounts.authenticate(token) is not None
    for text in forged:
        assert await accounts.authenticate(text) is None


async def test_claims_that_mean_nothing(accounts: Accounts, clock: "Clock") -> None:
    """Signed by the right key: as an older or a newer version might have."""
    new = await accounts.create_key()
    told = claims(await issued(accounts, new.key))
    signing = accounts._tokens._key
    assert len(signing) == hashlib.sha512().digest_size
    for wrong in (
        {"exp": "tomorrow"}, {"iat": None}, {"exp": None}, {"iss": "another"}, {"api_key_id": 7},
        {"api_key_id": "key_000000000000"}, {"iat": told["iat"] + 3600},
    ):  # fmt: skip
        assert await accounts.authenticate(jwt.encode(told | wrong, signing, "HS512")) is None
    assert await accounts.authenticate(jwt.encode(told, signing, "HS512")) is not None
    for lacking in ("exp", "iat", "api_key_id", "iss"):
        rest = {name: value for name, value in told.items() if name != lacking}
        assert await accounts.authenticate(jwt.encode(rest, signing, "HS512")) is None


async def test_a_key_that_looks_like_a_token_is_a_key(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "generate_key", lambda: "eyJhbGciOi.imported.from-elsewhere")
    new = await accounts.create_key()
    assert await accounts.authenticate(new.key) is not None
