"""Is `keys.secret` the one that this database's keys were made under? A wrong one would refuse every key in silence."""

import hmac
import logging
from datetime import datetime
from pathlib import Path

import anyio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog
from server.accounts.keys.repository import KeyRepository
from server.accounts.keys.secret import (
    FILE_NAME,
    SecretError,
    check_value,
    load_secret,
    read_secret,
    replace_secret,
)
from server.accounts.tables import InstallationRow
from server.storage.database import Database

logger = logging.getLogger(__name__)

CHECK = "secret_check"
SECRET_LOCK = 0x5A6E_0003
NEW = "`sagehold keys renew-secret` makes a new one and revokes every key."


async def secret_for(database: Database, data_dir: Path) -> tuple[bytes, bool]:
    """The secret of this database's keys, made where there are no keys yet; and whether it is known to be theirs.

    It is not for keys of an older version, which kept no check value: the first of them that is right will prove it
    (`keep_check`). Raises SecretError where keys are there and their secret is lost or another one.
    """
    async with database.read() as session:
        kept, keys = await _kept(session), await KeyRepository(session).count()
    secret = await anyio.to_thread.run_sync(read_secret, data_dir)
    if keys:
        secret = _checked(secret, kept, keys, data_dir)
        if kept is None:
            logger.info("the first right key will show whether %s belongs to this database", FILE_NAME)
        return secret, kept is not None
    if secret is None:
        secret = await anyio.to_thread.run_sync(load_secret, data_dir)
    if kept != check_value(secret):
        await keep_check(database, secret)
    return secret, True


def _checked(secret: bytes | None, kept: str | None, keys: int, data_dir: Path) -> bytes:
    path = data_dir.resolve() / FILE_NAME
    if secret is None:
        raise SecretError(
            f"SAGEHOLD_DATA_DIR: {path} is gone, and {keys} API keys were made under it: all of them would be refused. "
            f"Restore it from a backup (`sagehold restore`). If it is lost for good, {NEW}"
        )
    if kept is not None and not hmac.compare_digest(kept, check_value(secret)):
        raise SecretError(
            f"SAGEHOLD_DATA_DIR: {path} does not belong to this database: all of its {keys} API keys would be refused. "
            f"Put the right one there, from a backup (`sagehold restore`). If it is lost for good, {NEW}"
        )
    return secret


async def keep_check(database: Database, secret: bytes) -> None:
    """Remember the secret by its check value, now that a key of this database has shown it to be the right one."""
    async with database.write() as session:
        await database.lock(session, SECRET_LOCK)  # two servers may start on a new database at once
        await _keep(session, secret)


async def renew_secret(database: Database, data_dir: Path, now: datetime, actor: str) -> int:
    """A new secret for an installation whose own is lost. Every key is revoked; returns how many were.

    Accounts, credits and history stay. Raises SecretError.
    """
    async with database.write() as session:
        await database.lock(session, SECRET_LOCK)
        keys = KeyRepository(session)
        usable = [key for key in await keys.all() if key.revoked_at is None]
        for key in usable:
            await keys.revoke(key.id, now)
        secret = await anyio.to_thread.run_sync(replace_secret, data_dir)
        await _keep(session, secret)
        await AuditLog(session).add(now, actor, "secret.renew", FILE_NAME, {"revoked": len(usable)})
    return len(usable)


async def _kept(session: AsyncSession) -> str | None:
    return await session.scalar(select(InstallationRow.value).where(InstallationRow.name == CHECK))


async def _keep(session: AsyncSession, secret: bytes) -> None:
    await session.merge(InstallationRow(name=CHECK, value=check_value(secret)))
