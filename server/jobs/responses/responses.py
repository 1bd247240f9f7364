"""Kept responses, conversations and background work, put together for one process."""

import logging
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from server.accounts.keys.secret import load_secret
from server.jobs.responses.background import Background
from server.jobs.responses.chain import Chain
from server.jobs.responses.claims import Claims
from server.jobs.responses.conversations import Conversations
from server.jobs.responses.events import EventLog
from server.jobs.responses.references import References
from server.jobs.responses.retention import Retention
from server.jobs.responses.sealing import Sealed, Sealing
from server.jobs.responses.store import ResponseStore
from server.settings import Settings
from server.storage.beside import beside
from server.storage.clock import DatabaseClock, database_time, utc_now
from server.storage.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """What routes work with."""

    store: ResponseStore
    chain: Chain
    conversations: Conversations
    references: References
    sealing: Sealing
    background: Background
    retention: Retention

    @classmethod
    def over(
        cls,
        settings: Settings,
        database: Database,
        secret: bytes,
        *,
        now: Callable[[], datetime] = utc_now,
        time: DatabaseClock = database_time,
    ) -> "Responses":
        """database: migrated. What is said before a response may have as many bytes as a request's body."""
        sealing = Sealing(secret, encrypt=settings.encrypt_responses)
        sealed, ttl, most = Sealed(sealing), settings.response_ttl, settings.max_body
        retention = Retention(database, most=settings.max_account_responses, now=now)
        conversations = Conversations(database, sealed, retention, ttl=ttl, most_bytes=most, now=now)
        store = ResponseStore(database, sealed, conversations, retention, ttl=ttl, now=now)
        events = EventLog(database, sealed)
        claims = Claims(database, sealed, store, events, retention, time=time)
        instance_id = f"rsp_{secrets.token_hex(8)}"
        return cls(
            store=store,
            chain=Chain(database, sealed, conversations, most_bytes=most, now=now),
            conversations=conversations,
            references=References(database, sealed, most_bytes=most, now=now),
            sealing=sealing,
            background=Background(store, claims, events, retention, settings.data_dir / "responses", instance_id),
            retention=retention,
        )


@asynccontextmanager
async def open_responses(
    settings: Settings, database: Database, *, grace: Callable[[], float] = lambda: 0.0
) -> AsyncGenerator[Responses, None]:
    """For the length of the block, with what goes on beside it. grace: seconds that background responses have left to
    end in, asked again and again from the block's end on."""
    made = Responses.over(settings, database, load_secret(settings.data_dir))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(beside(made.background.run(), "kept responses"))
        stack.push_async_callback(made.background.drain, grace)
        yield made
