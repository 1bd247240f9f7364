"""What routes about a caller's own things ask for: knowledge, and accounts by their e-mail address."""

from datetime import datetime
from email.utils import format_datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from server.accounts.keys.identity import Account
from server.api.rows import AdministrationDep
from server.api.services import services_of
from server.api.validation import Body
from server.errors import KnowledgeUnavailable, NotFound
from server.knowledge.knowledge import Knowledge

MOST_BODY = 64 * 1024
"""Bytes of a body that holds names."""


async def get_knowledge(connection: HTTPConnection) -> Knowledge:
    """Raises KnowledgeUnavailable on a server that was put together without it."""
    knowledge = services_of(connection).knowledge
    if knowledge is None:
        raise KnowledgeUnavailable
    return knowledge


KnowledgeDep = Annotated[Knowledge, Depends(get_knowledge)]


class Nothing(Body):
    """No fields are looked at."""


class NoAccount(NotFound):
    """Nobody has that e-mail address: in the service's own words and number."""

    status = 410
    code = "no_account"
    default_message = "No account."


async def account_by(email: str, administration: AdministrationDep) -> Account:
    """Raises NoAccount. Exactly by the address: what else names an account is the operator's to know."""
    account = await administration.accounts.account_of(email.strip())
    if account is None:
        raise NoAccount(param="email")
    return account


def shown_time(at: datetime) -> str:
    """`Thu, 08 May 2025 21:42:04 GMT`."""
    return format_datetime(at, usegmt=True)
