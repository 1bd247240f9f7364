"""Access tokens: what a key is exchanged for where clients want something that ends by itself. JSON Web Tokens."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from server.accounts.keys.identity import Account

LIFETIME = timedelta(hours=24)
MOST_LENGTH = 1024
ALGORITHM = "HS512"
ISSUER = "sagehold"
_BEGINNING = "eyJ"
"""The base64 of `{"`, with which the header of every token begins."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came of a token exchange. account_id: the key's, None for a key that is not good. token: None where it was
    refused."""

    account_id: str | None = None
    token: str | None = None


class Tokens:
    """Makes tokens and reads them. Nothing of them is stored: a token is as good as its key is when it is used.

    They are signed by HMAC-SHA512 (RFC 7518, 3.2) with a key that is made from the server's secret, and with nothing
    else, whatever their header says.
    """

    def __init__(self, secret: bytes, now: Callable[[], datetime]) -> None:
        self._key = hmac.digest(secret, b"sagehold: the signing key of access tokens", "sha512")
        self._now = now

    def issue(self, key_id: str, account: Account) -> str:
        """A token for LIFETIME, with the claims that the Ask Sage service's have, where they mean something here."""
        issued = int(self._now().timestamp())
        claims = {
            "iss": ISSUER,
            "api_key_id": key_id,
            "auth_method": "api_key",
            "exp": issued + int(LIFETIME.total_seconds()),
            "iat": issued,
            "jti": secrets.token_hex(16),
            "user_id": account.number,
        }
        return jwt.encode(claims, self._key, ALGORITHM)

    def key_id(self, token: str) -> str | None:
        """The key that a token stands for; None for what is no token of ours, or has expired."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                # Times are looked at below, by the clock that everything here has.
                options={"require": ["exp", "iat", "api_key_id"], "verify_exp": False, "verify_iat": False},
            )
            issued, expires, key_id = claims["iat"], claims["exp"], claims["api_key_id"]
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        now = self._now().timestamp()
        # A clock that was set back must not make a token live longer.
        fresh = isinstance(issued, int) and isinstance(expires, int) and issued - 1 <= now < expires
        return key_id if fresh and isinstance(key_id, str) else None


def looks_like_one(text: str) -> bool:
    """Whether a text has a token's form, and should be read as one before it is looked up as a key."""
    return text.startswith(_BEGINNING) and len(text) <= MOST_LENGTH and text.count(".") == 2 and text.isascii()
