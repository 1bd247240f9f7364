"""Who is calling: a key's text becomes a Caller."""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from server.accounts.keys import credentials
from server.accounts.keys.identity import Account, ApiKey
from server.accounts.keys.installation import keep_check
from server.accounts.keys.repository import KeyRepository
from server.accounts.keys.verified import Verified, VerifiedKeys
from server.core import Caller
from server.errors import AccountClosed
from server.storage.database import OUTAGE, SERVER_WAIT, Database

logger = logging.getLogger(__name__)

# How long another process's revocation may go unnoticed here.
VERIFIED_LIFETIME = timedelta(seconds=3)
# `last_used_at` is for people; writing it at every request would cost more than it is worth.
TOUCH_INTERVAL = timedelta(minutes=1)

KEY_ID = re.compile(r"key_[0-9a-f]{12}")


class Authentication:
    """Looks keys up in the database, and remembers the answer for VERIFIED_LIFETIME.

    Invariant: once `forget` has returned, no answer is remembered that was read from the database before it.
    """

    def __init__(self, database: Database, secret: bytes, now: Callable[[], datetime], proven: bool = True) -> None:
        """secret: 32 bytes, under which keys are fingerprinted; proven: whether it is known to be these keys' own."""
        self._database = database
        self._secret = secret
        self._now = now
        self._verified = VerifiedKeys(VERIFIED_LIFETIME)
        self._lookups: dict[tuple[int, bytes], asyncio.Task[Caller | AccountClosed | None]] = {}
        self._touches: set[asyncio.Task[None]] = set()
        self._proven = proven
        self._opened = now()

    async def authenticate(self, key: str) -> Caller | None:
        """The caller that a key stands for, or None for a key that is unknown, revoked or expired.

        Raises AccountClosed for a key that would be good if its account were open, and DatabaseUnavailable where that
        can't be known right now.
        """
        if not credentials.plausible(key):
            return None
        fingerprint = credentials.fingerprint(key, self._secret)
        caller = self._verified.get(fingerprint, self._now())
        if caller is not None:
            return caller
        # Requests that arrive together with the same key share one look-up, but none that began before a change.
        # It is a task of its own, because the request that began it may be cancelled while the others still wait.
        sharing = (self._verified.generation, fingerprint)
        lookup = self._lookups.get(sharing)
        if lookup is None:
            lookup = asyncio.create_task(self._look_up(credentials.lookup_prefix(key), fingerprint))
            self._lookups[sharing] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop(sharing, None))
        found = await asyncio.shield(lookup)
        if isinstance(found, AccountClosed):
            raise AccountClosed
        return found

    async def caller(self, key_id: str) -> Caller | None:
        """The caller that a key stands for, by the key's id, as `authenticate` remembers it; None for a key that is
        unknown, revoked or expired, or whose account is closed. Raises DatabaseUnavailable.
        """
        remembered = key_id.encode()  # never as long as a fingerprint
        caller = self._verified.get(remembered, self._now())
        if caller is not None or not KEY_ID.fullmatch(key_id):
            return caller
        generation, now = self._verified.generation, self._now()
        async with self._database.read(within=SERVER_WAIT) as session:
            found = await KeyRepository(session).with_account(key_id)
        if found is None or not found[0].valid(now) or found[0].account_closed:
            return None
        return self._remember(remembered, *found, now, generation)

    def forget(self) -> None:
        """To be called after every change of accounts or keys: the next request reads them anew."""
        self._verified.forget()

    async def aclose(self) -> None:
        """Wait for the look-ups and writes under way. The database stays open."""
        pending = (*self._lookups.values(), *self._touches)
        for outcome in await asyncio.gather(*pending, return_exceptions=True):
            if isinstance(outcome, BaseException):
                logger.warning("the accounts database failed while closing: %s", outcome)

    async def _look_up(self, prefix: str, fingerprint: bytes) -> Caller | AccountClosed | None:
        generation = self._verified.generation
        now = self._now()
        async with self._database.read(within=SERVER_WAIT) as session:
            candidates = await KeyRepository(session).with_prefix(prefix)
        for record, known, account in candidates:
            if credentials.matches(known, fingerprint) and record.valid(now):
                if record.account_closed:
                    return AccountClosed()  # each waiter raises one of its own
                caller = self._remember(fingerprint, record, account, now, generation)
                if not self._proven and record.created_at < self._opened:
                    self._proven = True
                    self._beside(keep_check(self._database, self._secret))
                return caller
            if not self._proven and record.valid(now):
                # 8 random characters of the prefix are no accident.
                logger.warning(
                    "a key that begins like %s was refused: it is wrong, or keys.secret is another installation's",
                    record.id,
                )
        return None

    def _remember(self, under: bytes, record: ApiKey, account: Account, now: datetime, generation: int) -> Caller:
        caller = Caller(
            key_id=record.id,
            account_id=account.id,
            scopes=record.scopes,
            models=record.models,
            metered=account.metered,
            limits=record.limits,
            account_limits=account.limits,
            priority=record.priority,
            weight=account.weight,
        )
        self._verified.add(under, Verified(caller, now, record.expires_at), generation)
        if record.last_used_at is None or now - record.last_used_at >= TOUCH_INTERVAL:
            self._beside(self._touch(record.id, now))
        return caller

    def _beside(self, write: Coroutine[Any, Any, None]) -> None:
        """Write what no answer waits for."""
        task = asyncio.create_task(self._forgiving(write))
        self._touches.add(task)
        task.add_done_callback(self._touches.discard)

    async def _forgiving(self, write: Coroutine[Any, Any, None]) -> None:
        try:
            await write
        except OUTAGE as error:
            logger.debug("it could not be written when a key was used last: %s", error)

    async def _touch(self, key_id: str, at: datetime) -> None:
        async with self._database.write() as session:
            await KeyRepository(session).touch(key_id, at)
