"""Rows by the names that clients send, whatever is in those."""

from sqlalchemy import ColumnElement, false
from sqlalchemy.orm import InstrumentedAttribute

from server.storage.columns import storable


def called(column: "InstrumentedAttribute[str]", name: str) -> ColumnElement[bool]:
    """Whether a row has that name. What no database can hold is no row's: PostgreSQL refuses even to look for it."""
    return column == name if storable(name) else false()
