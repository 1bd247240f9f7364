"""The clock that everything here is given, so that tests can give another."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
