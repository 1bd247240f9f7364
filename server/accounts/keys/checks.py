"""What accounts and keys may be. Each check raises InvalidRequest with the field that is wrong."""

import re
from dataclasses import asdict
from datetime import UTC, datetime

from server.accounts.keys.identity import SCOPES
from server.core import Limits
from server.errors import InvalidRequest

NAME_LENGTH = 64
MOST_WEIGHT = 100
EMAIL_LENGTH = 254
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def check_name(name: str) -> None:
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"A name has at most {NAME_LENGTH} printable characters.", param="name")


def plausible_email(email: str) -> bool:
    """Whether it has the form of an address. Whether mail arrives there is nobody's question here."""
    return len(email) <= EMAIL_LENGTH and email.isprintable() and EMAIL.fullmatch(email) is not None


def check_email(email: str) -> None:
    if not plausible_email(email):
        message = f"An e-mail address has one @ with something on both sides, and at most {EMAIL_LENGTH} characters."
        raise InvalidRequest(message, param="email")


def check_limits(limits: Limits) -> None:
    for name, limit in asdict(limits).items():
        if limit is not None and not 0 <= limit < 2**31:
            raise InvalidRequest("A limit is a whole number from 0 to 2147483647.", param=name)


def check_weight(weight: int) -> None:
    if not 1 <= weight <= MOST_WEIGHT:
        raise InvalidRequest(f"A weight is a whole number from 1 to {MOST_WEIGHT}.", param="weight")


def check_scopes(scopes: frozenset[str]) -> None:
    if not scopes or not scopes <= SCOPES:
        raise InvalidRequest(f"Scopes are some of {', '.join(sorted(SCOPES))}.", param="scopes")


def check_models(models: frozenset[str] | None) -> None:
    if models is not None and not all(model and not any(c.isspace() for c in model) for model in models):
        raise InvalidRequest("A model's id has no spaces.", param="models")


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Also for a day that the calendar has in its own zone only, and that can't be stored in UTC."""
    if expires_at is None:
        return
    try:
        instant = expires_at.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest("The expiry lies outside the years 1 to 9999 of UTC.", param="expires_at") from None
    if instant <= now:
        raise InvalidRequest("The expiry lies in the past.", param="expires_at")
