"""What is written of responses: as it is, or encrypted by AES-256-GCM (NIST SP 800-38D).

A stored value is one byte that says which, and then the bytes themselves, or a nonce of 12 bytes and the ciphertext
with its tag of 16. The key is drawn from keys.secret by HKDF-SHA256 (RFC 5869). The associated data says whose value it
is, so that one can't be put in another's place.
"""

import base64
import binascii
import logging
import secrets

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.errors import InvalidRequest

log = logging.getLogger(__name__)

PLAIN, AES_256_GCM = b"\x00", b"\x01"
NONCE = 12
INFO = b"sagehold: kept responses"


class Unreadable(Exception):
    """It was encrypted under another secret, or is damaged."""


class Sealing:
    """encrypt: whether what is written from now on is encrypted. What is there is read either way."""

    def __init__(self, secret: bytes, *, encrypt: bool) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, INFO).derive(secret))
        self._encrypt = encrypt

    def pack(self, whose: str, data: bytes) -> bytes:
        """As it is written. whose: a name that no other value has."""
        return self._sealed(whose, data) if self._encrypt else PLAIN + data

    def unpack(self, whose: str, stored: bytes) -> bytes:
        """Raises Unreadable."""
        if stored[:1] == PLAIN:
            return stored[1:]
        return self._opened(whose, stored)

    def seal_text(self, account_id: str, text: str) -> str:
        """A text that a client keeps for us, and that nobody else can read or make: Base64, always encrypted."""
        return base64.b64encode(self._sealed(f"text {account_id}", text.encode())).decode()

    def open_text(self, account_id: str, sealed: str, param: str) -> str:
        """Raises InvalidRequest for what was not made here for this account."""
        try:
            return self._opened(f"text {account_id}", base64.b64decode(sealed, validate=True)).decode()
        except (binascii.Error, ValueError, Unreadable):
            message = f"'{param}' was not made by this server for this account, or is damaged."
            raise InvalidRequest(message, param=param, code="invalid_encrypted_content") from None

    def _sealed(self, whose: str, data: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE)
        return AES_256_GCM + nonce + self._cipher.encrypt(nonce, data, whose.encode())

    def _opened(self, whose: str, stored: bytes) -> bytes:
        if stored[:1] != AES_256_GCM or len(stored) <= NONCE:
            raise Unreadable
        try:
            return self._cipher.decrypt(stored[1 : 1 + NONCE], stored[1 + NONCE :], whose.encode())
        except InvalidTag:
            raise Unreadable from None


class Sealed:
    """Objects of rows, by a sealing: each kind under a name of its own."""

    def __init__(self, sealing: Sealing) -> None:
        self.sealing = sealing

    def pack(self, kind: str, row: str, value: object) -> bytes:
        """kind: the table and the column; row: its id."""
        return self.sealing.pack(f"{kind} {row}", orjson.dumps(value))

    def unpack(self, kind: str, row: str, stored: bytes) -> object:
        """Raises InvalidRequest, in words for whoever asks for it, and tells the operator."""
        try:
            return orjson.loads(self.sealing.unpack(f"{kind} {row}", stored))
        except Unreadable:
            raise unreadable(row) from None


def unreadable(row: str) -> InvalidRequest:
    log.error("%s can't be read: it was encrypted under another keys.secret, or is damaged", row)
    return InvalidRequest(
        f"'{row}' can't be read any more: it was encrypted under a secret that this server no longer has.",
        code="unreadable",
    )
