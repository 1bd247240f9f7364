"""What routes about a caller's own things have in common: times, and accounts by their e-mail address."""

from datetime import datetime
from email.utils import format_datetime

from server.accounts.keys.identity import Account
from server.api.rows import AdministrationDep
from server.api.validation import Body
from server.errors import NotFound

MOST_BODY = 64 * 1024
"""Bytes of a body that holds names."""


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
