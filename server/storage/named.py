"""Rows by the names that clients send, whatever is in those."""

from sqlalchemy import ColumnElement, false
from sqlalchemy.orm import InstrumentedAttribute


def called(column: "InstrumentedAttribute[str]", name: str) -> ColumnElement[bool]:
    """Whether a row has that name. PostgreSQL refuses even to look for a text with a NUL, which none can have."""
    return column == name if storable(name) else false()


def storable(name: str) -> bool:
    """Whether a database can hold it at all."""
    return "\0" not in name
