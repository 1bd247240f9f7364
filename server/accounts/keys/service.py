"""Accounts and keys: create, change, list and revoke."""

import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog
from server.accounts.keys import credentials
from server.accounts.keys.authentication import Authentication
from server.accounts.keys.identity import DEFAULT_SCOPES, NO_LIMITS, SCOPES, Account, ApiKey, NewKey
from server.accounts.keys.installation import secret_for
from server.accounts.keys.repository import AccountRepository, KeyRepository
from server.accounts.keys.secret import FILE_NAME
from server.core import Caller, Limits
from server.errors import InvalidRequest, NotFound
from server.settings import PREFIX, Settings
from server.storage.clock import utc_now
from server.storage.database import Database
from server.storage.folder import FolderLock
from server.storage.opening import DatabaseError, no_server

DEFAULT_ACCOUNT = "default"
NAME_LENGTH = 64
CHANGE_LOCK = 0x5A6E_0002
# Who acts, where nobody called: a person at the command line of this machine.
LOCAL = "local"


class Accounts:
    """Accounts and their keys. Build it with `open`, close it with `aclose` or `async with`.

    Changes are made one at a time over all processes that share the database.
    """

    def __init__(
        self,
        database: Database,
        secret: bytes,
        now: Callable[[], datetime] = utc_now,
        *,
        proven: bool = True,
        lock: FolderLock | None = None,
    ) -> None:
        """proven: whether the secret is known to be these keys' own. lock: held until `aclose`."""
        self._database = database
        self._secret = secret
        self._now = now
        self._lock = lock
        self._authentication = Authentication(database, secret, now, proven)

    @classmethod
    async def open(
        cls,
        settings: Settings,
        now: Callable[[], datetime] = utc_now,
        *,
        create: bool = True,
        check: bool = False,
    ) -> Self:
        """Connect, migrate, load the secret. Raises DatabaseError or SecretError, worded for the operator.

        create: whether a server is set up where none is. check: whether the database's file is checked for damage.
        """
        database, lock = await open_database(settings, create=create, check=check)
        try:
            secret, proven = await secret_for(database, settings.data_dir)
        except BaseException:
            await database.aclose()
            lock.release()
            raise
        return cls(database, secret, now, proven=proven, lock=lock)

    def authenticate(self, key: str) -> Coroutine[Any, Any, Caller | None]:
        """The caller that a key stands for, or None; see `Authentication`. A change made here counts at once."""
        return self._authentication.authenticate(key)

    # ------------------------------------------------------------ keys

    async def ensure_first_key(self) -> str | None:
        """On the first start, the text of a new key for the unmetered account `default`; None ever after."""
        async with self._changing() as session:
            if await KeyRepository(session).count():
                return None
            return (await self._add_key(session, name="first key")).key

    async def create_key(
        self,
        *,
        account: str | None = None,
        name: str = "",
        scopes: Iterable[str] = DEFAULT_SCOPES,
        models: Iterable[str] | None = None,
        expires_at: datetime | None = None,
        limits: Limits = NO_LIMITS,
        actor: str = LOCAL,
    ) -> NewKey:
        """A new key for an account, given by id or name; None means `default`, made when it is not there.

        Raises NotFound for the account, InvalidRequest for the rest.
        """
        async with self._changing() as session:
            new = await self._add_key(
                session,
                account=account,
                name=name,
                scopes=scopes,
                models=models,
                expires_at=expires_at,
                limits=limits,
            )
            granted: dict[str, object] = {
                "account": new.record.account_id,
                "name": name,
                "scopes": sorted(new.record.scopes),
            }
            await self._note(session, actor, "key.create", new.record.id, granted)
            return new

    async def list_keys(self, account: str | None = None) -> Sequence[ApiKey]:
        """Keys in the order of their creation, of one account (id or name) or of all. Raises NotFound."""
        async with self._database.read() as session:
            account_id = None if account is None else (await self._find_account(session, account)).id
            return await KeyRepository(session).all(account_id)

    async def revoke_key(self, id_or_prefix: str, *, actor: str = LOCAL) -> ApiKey:
        """End a key, named by its id, by its prefix (12 characters or more), or by its whole text.

        Raises NotFound, and InvalidRequest for a prefix that means several keys. A key already revoked stays so.
        """
        async with self._changing() as session:
            keys = KeyRepository(session)
            record = await keys.get(id_or_prefix)
            if record is None:
                beginning = credentials.lookup_prefix(id_or_prefix)
                found = await keys.beginning_with(beginning) if len(beginning) >= 12 else ()
                if len(found) > 1:
                    raise InvalidRequest(
                        f"{len(found)} keys begin like that: {', '.join(key.id for key in found)}. Name one by its id."
                    )
                if not found:
                    raise NotFound(f"There is no key {beginning}.")
                record = found[0]
            await keys.revoke(record.id, self._now())
            await self._note(session, actor, "key.revoke", record.id, {"account": record.account_id})
            revoked = await keys.get(record.id)
            assert revoked is not None
            return revoked

    async def _add_key(
        self,
        session: AsyncSession,
        *,
        account: str | None = None,
        name: str = "",
        scopes: Iterable[str] = DEFAULT_SCOPES,
        models: Iterable[str] | None = None,
        expires_at: datetime | None = None,
        limits: Limits = NO_LIMITS,
    ) -> NewKey:
        now = self._now()
        granted = frozenset(scopes)
        if not granted or not granted <= SCOPES:
            raise InvalidRequest(f"Scopes are some of {', '.join(sorted(SCOPES))}.", param="scopes")
        allowed = None if models is None else frozenset(models)
        if allowed is not None and not all(model and not any(c.isspace() for c in model) for model in allowed):
            raise InvalidRequest("A model's id has no spaces.", param="models")
        if expires_at is not None and _utc(expires_at) <= now:
            raise InvalidRequest("The expiry lies in the past.", param="expires_at")
        _check_name(name)
        _check_limits(limits)
        owner = await (self._default_account(session) if account is None else self._find_account(session, account))
        key = credentials.generate_key()
        record = ApiKey(
            id=_new_id("key"),
            account_id=owner.id,
            prefix=credentials.lookup_prefix(key),
            name=name,
            scopes=granted,
            models=allowed,
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            last_used_at=None,
            limits=limits,
        )
        await KeyRepository(session).add(record, credentials.fingerprint(key, self._secret))
        return NewKey(key, record)

    # ------------------------------------------------------------ accounts

    async def create_account(
        self, name: str, *, metered: bool = True, limits: Limits = NO_LIMITS, actor: str = LOCAL
    ) -> Account:
        """Raises InvalidRequest for a name that is empty, too long or taken. Credits come by `Ledger.grant`."""
        async with self._changing() as session:
            account = await self._add_account(session, name, metered, limits)
            await self._note(session, actor, "account.create", account.id, {"name": name, "metered": metered})
            return account

    async def change_account(
        self,
        id_or_name: str,
        *,
        metered: bool | None = None,
        limits: Mapping[str, int | None] | None = None,
        actor: str = LOCAL,
    ) -> Account:
        """Change what is not None, and of the limits those named. Raises NotFound, InvalidRequest.

        It counts at once for the account's keys.
        """
        async with self._changing() as session:
            account = await self._find_account(session, id_or_name)
            changed = replace(
                account,
                metered=account.metered if metered is None else metered,
                limits=replace(account.limits, **(limits or {})),
            )
            _check_limits(changed.limits)
            if changed != account:
                await AccountRepository(session).change(changed)
                details: dict[str, object] = {"metered": changed.metered, "limits": asdict(changed.limits)}
                await self._note(session, actor, "account.change", account.id, details)
            return changed

    async def find_account(self, id_or_name: str) -> Account:
        """Raises NotFound."""
        async with self._database.read() as session:
            return await self._find_account(session, id_or_name)

    async def list_accounts(self) -> Sequence[Account]:
        """Accounts in the order of their creation."""
        async with self._database.read() as session:
            return await AccountRepository(session).all()

    async def _add_account(self, session: AsyncSession, name: str, metered: bool, limits: Limits) -> Account:
        _check_name(name)
        _check_limits(limits)
        if not name:
            raise InvalidRequest("An account needs a name.", param="name")
        accounts = AccountRepository(session)
        if await accounts.find(name) is not None:
            raise InvalidRequest(f"There is an account {name} already.", param="name")
        account = Account(id=_new_id("acct"), name=name, metered=metered, created_at=self._now(), limits=limits)
        await accounts.add(account)
        return account

    async def _find_account(self, session: AsyncSession, id_or_name: str) -> Account:
        account = await AccountRepository(session).find(id_or_name)
        if account is None:
            raise NotFound(f"There is no account {id_or_name}.", param="account")
        return account

    async def _default_account(self, session: AsyncSession) -> Account:
        account = await AccountRepository(session).find(DEFAULT_ACCOUNT)
        return account or await self._add_account(session, DEFAULT_ACCOUNT, metered=False, limits=NO_LIMITS)

    # ------------------------------------------------------------ life

    @property
    def database(self) -> Database:
        """What the ledger and the reports are built on; it closes with this object."""
        return self._database

    async def _note(
        self, session: AsyncSession, actor: str, action: str, target: str, details: dict[str, object]
    ) -> None:
        await AuditLog(session).add(self._now(), actor, action, target, details)

    @asynccontextmanager
    async def _changing(self) -> AsyncGenerator[AsyncSession, None]:
        """A unit of work on accounts and keys, one at a time over all processes; afterwards keys are looked up anew."""
        async with self._database.write() as session:
            await self._database.lock(session, CHANGE_LOCK)
            yield session
        self._authentication.forget()

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._authentication.aclose()
            await self._database.aclose()
            if self._lock is not None:
                self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def open_database(settings: Settings, *, create: bool = True, check: bool = False) -> tuple[Database, FolderLock]:
    """The database, migrated, and a share of the lock on its folder. Raises DatabaseError; see `Accounts.open`."""
    if not create and not settings.data_dir.is_dir():
        raise DatabaseError(f"{PREFIX}DATA_DIR: {no_server(f'folder {settings.data_dir.resolve()}')}")
    database = Database(settings.database)
    # Looked at first: a server that starts beside this one makes the secret after the database.
    used_before = (settings.data_dir / FILE_NAME).exists()
    lock = FolderLock(settings.data_dir)
    try:
        await database.migrate(create=create, check=check, used_before=used_before)
        lock.share()
    except BaseException as error:
        await database.aclose()
        lock.release()
        if isinstance(error, DatabaseError) and not str(error).startswith(PREFIX):
            setting = "DATA_DIR" if settings.database_url is None else "DATABASE_URL"
            raise DatabaseError(f"{PREFIX}{setting}: {error}") from error
        raise
    return database, lock


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(6)}"


def _utc(instant: datetime) -> datetime:
    """As it is stored. Raises InvalidRequest for a day that the calendar has in its own zone only."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest("The expiry lies outside the years 1 to 9999 of UTC.", param="expires_at") from None


def _check_name(name: str) -> None:
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"A name has at most {NAME_LENGTH} printable characters.", param="name")


def _check_limits(limits: Limits) -> None:
    for name, limit in asdict(limits).items():
        if limit is not None and not 0 <= limit < 2**31:
            raise InvalidRequest("A limit is a whole number from 0 to 2147483647.", param=name)
