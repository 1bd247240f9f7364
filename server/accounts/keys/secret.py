"""The server's secret, under which keys are fingerprinted: 32 bytes in a file that only its owner can read."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

FILE_NAME = "keys.secret"
LENGTH = 32


class SecretError(Exception):
    """The secret file can't be used. The message is for the operator."""


def load_secret(data_dir: Path) -> bytes:
    """Read `data_dir`/keys.secret, creating it with mode 0600 if it is not there.

    Whoever comes first wins: the file appears whole or not at all, so that processes which start together agree.
    Raises SecretError for a file that is damaged.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / FILE_NAME
    if not path.exists():
        _create(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        secret = b""
    if len(secret) != LENGTH:
        raise SecretError(
            f"{path} is damaged: it must hold {LENGTH * 2} hexadecimal digits. Restore it from a backup; "
            "a new one would make every API key invalid."
        )
    return secret


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(LENGTH) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces what another process made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
