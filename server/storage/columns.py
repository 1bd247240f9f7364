"""Column types that mean the same on SQLite and on PostgreSQL, and the texts that both can hold."""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from server.core.money import from_nano, to_nano


def storable(text: str) -> bool:
    """Whether a database can hold the text at all: PostgreSQL takes no NUL, and none takes half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. SQLite forgets time zones, so all instants are stored in UTC and come back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[frozenset[str]]):
    """A set of words without spaces (scopes, model ids), kept sorted in one text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, _dialect: Dialect) -> str | None:
        return None if value is None else " ".join(sorted(value))

    def process_result_value(self, value: str | None, _dialect: Dialect) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split())


class Credits(TypeDecorator[Decimal]):
    """An amount of credits, stored exactly as a whole number of nano-credits; a sum of them is one too."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _dialect: Dialect) -> int | None:
        return None if value is None else to_nano(value)

    def process_result_value(self, value: int | Decimal | None, _dialect: Dialect) -> Decimal | None:
        return None if value is None else from_nano(int(value))
