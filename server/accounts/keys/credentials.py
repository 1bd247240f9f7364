"""API keys as text: made, fingerprinted, compared. Pure; the database sees only what comes out of here."""

import hmac
import secrets

KEY_PREFIX = "sk-sage-"
LOOKUP_LENGTH = 16
MAX_LENGTH = 512


def generate_key() -> str:
    """A new key: `sk-sage-` and 43 URL-safe characters that hold 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def lookup_prefix(key: str) -> str:
    """The part of a key that finds its row and may be shown; 48 of the 256 random bits of our own keys."""
    return key[:LOOKUP_LENGTH]


def fingerprint(key: str, secret: bytes) -> bytes:
    """HMAC-SHA256 of the key, 32 bytes. Keys are random, so no slow hash is needed (RFC 2104; OWASP ASVS 2.4)."""
    return hmac.digest(secret, key.encode(), "sha256")


def matches(ours: bytes, theirs: bytes) -> bool:
    """Compare two fingerprints in constant time."""
    return hmac.compare_digest(ours, theirs)


def plausible(key: str) -> bool:
    """Whether a text could be a key at all: printable ASCII of a sane length. Any prefix may be one of ours."""
    return LOOKUP_LENGTH < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()
