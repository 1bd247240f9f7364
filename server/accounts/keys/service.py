"""Accounts and keys: create, change, list and revoke."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.audit import AuditLog
from server.accounts.keys.account_acts import AccountActs, AccountChanges
from server.accounts.keys.authentication import Authentication
from server.accounts.keys.checks import plausible_email
from server.accounts.keys.identity import NO_LIMITS, Account, ApiKey, NewKey
from server.accounts.keys.installation import secret_for
from server.accounts.keys.key_acts import KeyActs, KeyChanges, KeyTerms
from server.accounts.keys.repository import AccountRepository, KeyRepository
from server.accounts.keys.secret import FILE_NAME
from server.accounts.keys.tokens import Exchanged, Tokens, looks_like_one
from server.core import Caller, Limits
from server.settings import PREFIX, Settings
from server.storage.clock import utc_now
from server.storage.database import Database
from server.storage.folder import FolderLock
from server.storage.opening import DatabaseError, no_server

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
        self._tokens = Tokens(secret, now)

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
        """The caller that a key, or a token, stands for, or None; see `Authentication`. A change made here counts at
        once, for tokens of a key too.

        Raises AccountClosed.
        """
        if looks_like_one(key) and (key_id := self._tokens.key_id(key)) is not None:
            return self._authentication.caller(key_id)
        return self._authentication.authenticate(key)

    async def exchange(self, key: str, email: str | None) -> Exchanged:
        """A token for a key, for an account's own address, where it has one; any address, or none, is good for others.

        Raises AccountClosed, DatabaseUnavailable.
        """
        caller = await self._authentication.authenticate(key)  # no token is exchanged for another
        if caller is None:
            return Exchanged()
        account = await self.find_account(caller.account_id)
        if account.email is not None and account.email != (email or "").strip().lower():
            return Exchanged(account.id)
        return Exchanged(account.id, self._tokens.issue(caller.key_id, account))

    def caller(self, key_id: str) -> Coroutine[Any, Any, Caller | None]:
        """The caller that a key stands for, by the key's id: for tokens, and for work that goes on in the background.

        None unless the key would be let in now. A change made here counts at once.
        """
        return self._authentication.caller(key_id)

    # ------------------------------------------------------------ keys

    async def ensure_first_key(self) -> str | None:
        """On the first start, the text of a new key for the unmetered account `default`; None ever after."""
        async with self._changing() as session:
            if await KeyRepository(session).count():
                return None
            return (await self._keys(session, LOCAL).add(None, self._secret, name="first key")).key

    async def create_key(self, *, account: str | None = None, actor: str = LOCAL, **terms: Unpack[KeyTerms]) -> NewKey:
        """A new key for an account, given by id or name; None means `default`, made when it is not there.

        Raises NotFound for the account, InvalidRequest for the rest.
        """
        async with self._changing() as session:
            return await self._keys(session, actor).add(account, self._secret, **terms)

    async def list_keys(self, account: str | None = None) -> Sequence[ApiKey]:
        """Keys in the order of their creation, of one account (id or name) or of all. Raises NotFound."""
        async with self._database.read() as session:
            owner = None if account is None else await self._accounts(session, LOCAL).find(account)
            return await KeyRepository(session).all(None if owner is None else owner.id)

    async def find_key(self, id_or_prefix: str) -> ApiKey:
        """By its id, by its prefix (12 characters or more), or by its whole text. Raises NotFound, InvalidRequest."""
        async with self._database.read() as session:
            return await self._keys(session, LOCAL).find(id_or_prefix)

    async def change_key(self, id_or_prefix: str, *, actor: str = LOCAL, **changes: Unpack[KeyChanges]) -> ApiKey:
        """Change what is given, and of the limits those named. It counts at once, for keys that expired too.

        Raises NotFound; InvalidRequest, for a key that is revoked too.
        """
        async with self._changing() as session:
            return await self._keys(session, actor).change(id_or_prefix, **changes)

    async def revoke_key(self, id_or_prefix: str, *, actor: str = LOCAL) -> ApiKey:
        """End a key, named as `find_key` takes it. A key already revoked stays so.

        Raises NotFound, and InvalidRequest for a prefix that means several keys.
        """
        async with self._changing() as session:
            return await self._keys(session, actor).revoke(id_or_prefix)

    # ------------------------------------------------------------ accounts

    async def create_account(
        self,
        name: str,
        *,
        metered: bool = True,
        limits: Limits = NO_LIMITS,
        weight: int = 1,
        email: str | None = None,
        actor: str = LOCAL,
    ) -> Account:
        """Raises InvalidRequest for a name that is empty, too long or taken, and for an e-mail address likewise.

        Credits come by `Ledger.grant`.
        """
        async with self._changing() as session:
            acts = self._accounts(session, actor)
            return await acts.add(name, metered=metered, limits=limits, weight=weight, email=email)

    async def change_account(self, named: str, *, actor: str = LOCAL, **changes: Unpack[AccountChanges]) -> Account:
        """Change what is not None, and of the limits those named. Raises NotFound, InvalidRequest.

        It counts at once for the account's keys. A closed account's keys are refused; what its requests in flight hold
        is settled, its money and its history stay, and it can be opened again.
        """
        async with self._changing() as session:
            return await self._accounts(session, actor).change(named, **changes)

    async def find_account(self, named: str) -> Account:
        """By its id, its name or its e-mail address. Raises NotFound."""
        async with self._database.read() as session:
            return await self._accounts(session, LOCAL).find(named)

    async def account_of(self, email: str) -> Account | None:
        """The account with exactly this e-mail address, in letters of either case."""
        if not plausible_email(email):
            return None
        async with self._database.read() as session:
            return await AccountRepository(session).by_email(email)

    async def numbered(self) -> Sequence[Account]:
        """Accounts as `list_accounts` has them, each with its number: those that an older version made get one."""
        async with self._database.read() as session:
            accounts = AccountRepository(session)
            if not await accounts.without_number():
                return await accounts.all()
        async with self._changing() as session:
            accounts = AccountRepository(session)
            await accounts.give_numbers()
            return await accounts.all()

    async def list_accounts(self) -> Sequence[Account]:
        """Accounts in the order of their creation."""
        async with self._database.read() as session:
            return await AccountRepository(session).all()

    @asynccontextmanager
    async def noting(
        self, action: str, target: str, details: Mapping[str, Any], *, actor: str = LOCAL
    ) -> AsyncGenerator[None, None]:
        """Around an act that changes nothing in the database, such as the load of a model: it is written down unless it
        raises, and where nothing can be written it is not done at all. On SQLite nobody else writes meanwhile."""
        async with self._database.write() as session:
            await AuditLog(session).add(self._now(), actor, action, target, dict(details))
            yield

    def _keys(self, session: AsyncSession, actor: str) -> KeyActs:
        return KeyActs(session, self._now(), actor)

    def _accounts(self, session: AsyncSession, actor: str) -> AccountActs:
        return AccountActs(session, self._now(), actor)

    # ------------------------------------------------------------ life

    @property
    def database(self) -> Database:
        """What the ledger and the reports are built on; it closes with this object."""
        return self._database

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
    try:
        database = Database(settings.database)
    except ValueError:
        raise DatabaseError(
            f"{PREFIX}DATABASE_URL: it can't be read as a URL. The port is a number, and in a password : / @ are "
            "written %3A %2F %40."
        ) from None
    # Looked at first: a server that starts beside this one makes the secret after the database.
    used_before = (settings.data_dir / FILE_NAME).exists()
    lock = FolderLock(settings.data_dir)
    try:
        # Before anything is opened or made: a restore puts another file there, and this one's would be nobody's. Where
        # no server has been, the lock is not made before there is a database.
        early = create or lock.there
        if early:
            lock.share()
        await database.migrate(create=create, check=check, used_before=used_before)
        if not early:
            lock.share()
    except BaseException as error:
        await database.aclose()
        lock.release()
        if isinstance(error, DatabaseError) and not str(error).startswith(PREFIX):
            setting = "DATA_DIR" if settings.database_url is None else "DATABASE_URL"
            raise DatabaseError(f"{PREFIX}{setting}: {error}") from error
        raise
    return database, lock
