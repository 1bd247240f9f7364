"""The server's secret, under which keys are fingerprinted: 32 bytes in a file that only its owner can read."""

import contextlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from server.storage.folder import made_in

FILE_NAME = "keys.secret"
LENGTH = 32


class SecretError(Exception):
    """The secret file can't be used. The message is for the operator."""


def check_value(secret: bytes) -> str:
    """What the database keeps of the secret, to know it again: HMAC-SHA256 of a constant, in hexadecimal."""
    return hmac.digest(secret, b"sagehold: the check value of keys.secret", "sha256").hex()


def load_secret(data_dir: Path) -> bytes:
    """Read `data_dir`/keys.secret, creating it with mode 0600 if it is not there.

    Whoever comes first wins: the file appears whole or not at all, so that processes which start together agree.
    Raises SecretError for a file that is damaged or can't be read or made.
    """
    path = data_dir.resolve() / FILE_NAME
    with _in_words(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
    secret = read_secret(data_dir)
    assert secret is not None
    return secret


def read_secret(data_dir: Path) -> bytes | None:
    """Read `data_dir`/keys.secret, taking it from others' eyes; None where there is none. Raises SecretError."""
    path = data_dir.resolve() / FILE_NAME
    with _in_words(path):
        if not path.exists():
            return None
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
        content = path.read_bytes()
    try:
        secret = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != LENGTH:
        raise SecretError(
            f"SAGEHOLD_DATA_DIR: {path} is damaged: it must hold {LENGTH * 2} hexadecimal digits. Restore it from a "
            "backup; a new one would make every API key invalid."
        )
    return secret


def replace_secret(data_dir: Path) -> bytes:
    """A new secret in place of whatever is there: every key made under the old one ends. Raises SecretError.

    The old one stays until the new one is on the disk.
    """
    path = data_dir.resolve() / FILE_NAME
    with _in_words(path):
        _create(path, replace=True)
    secret = read_secret(data_dir)
    assert secret is not None
    return secret


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SecretError(
            f"SAGEHOLD_DATA_DIR: {path} can't be used: {error.strerror}. The server's user must be able to read and "
            "write it."
        ) from error


def _create(path: Path, *, replace: bool = False) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with made_in(draft) as file:
            file.write(f"{secrets.token_hex(LENGTH)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.rename(path)
            return
        # Unlike a rename, a link never replaces what another process made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
