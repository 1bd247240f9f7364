"""What posting reads and writes, on either kind of connection: SQLAlchemy's for PostgreSQL, a bare one for SQLite.

SQLite answers a statement in microseconds; SQLAlchemy's way to it takes ten times as long, at every step of every
request. So its statements are compiled once here, and run as they are.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Executable, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from server.accounts.tables import AuditRow, BalanceRow, EntryRow, HoldRow, UsageRow
from server.core.money import from_nano

Row = Mapping[str, Any]
Kind = Literal["entries", "holds", "closed", "balances", "usage", "audit"]


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that is there already."""

    kind: str
    amount: Decimal
    account_id: str


class Journal(Protocol):
    """Inside a transaction that the caller commits."""

    def balances(self, accounts: Collection[str]) -> dict[str, Decimal]:
        """What is available to these accounts, which nobody else may change until the transaction ends."""
        ...

    def holds(self, references: Collection[str]) -> dict[str, Decimal]:
        """The amounts of those that are open."""
        ...

    def entries(self, reference: str) -> Sequence[Known]: ...

    def write(self, kind: Kind, rows: Sequence[Row]) -> None:
        """entries, holds, usage, audit: new rows. closed: holds to delete. balances: what is available now."""
        ...


def journal_on(connection: Connection | sqlite3.Connection) -> Journal:
    return SqliteJournal(connection) if isinstance(connection, sqlite3.Connection) else SqlJournal(connection)


def _table(row: Any) -> Table:
    table = row.__table__
    assert isinstance(table, Table)
    return table


BALANCES, HOLDS, ENTRIES, USAGE, AUDIT = map(_table, (BalanceRow, HoldRow, EntryRow, UsageRow, AuditRow))
SELECT_BALANCES = (
    select(BALANCES)
    .where(BALANCES.c.account_id.in_(bindparam("ids", expanding=True)))
    .order_by(BALANCES.c.account_id)  # always in this order, so that two batches can't wait for each other
    .with_for_update()
)
SELECT_HOLDS = select(HOLDS).where(HOLDS.c.reference.in_(bindparam("references", expanding=True)))
SELECT_ENTRIES = select(ENTRIES.c.kind, ENTRIES.c.amount, ENTRIES.c.account_id).where(
    ENTRIES.c.reference == bindparam("reference")
)
WRITES: dict[Kind, Executable] = {
    "entries": insert(ENTRIES),
    "holds": insert(HOLDS),
    "closed": delete(HOLDS).where(HOLDS.c.reference == bindparam("closed")),
    "balances": update(BALANCES)
    .where(BALANCES.c.account_id == bindparam("id"))
    .values(available=bindparam("new_available")),
    # A request that is settled twice has one usage record.
    "usage": postgresql.insert(USAGE).on_conflict_do_nothing(index_elements=["reference"]),
    "audit": insert(AUDIT),
}


class SqlJournal:
    """By SQLAlchemy's Core."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def balances(self, accounts: Collection[str]) -> dict[str, Decimal]:
        rows = self._connection.execute(SELECT_BALANCES, {"ids": sorted(accounts)})
        return {row.account_id: row.available for row in rows}

    def holds(self, references: Collection[str]) -> dict[str, Decimal]:
        rows = self._connection.execute(SELECT_HOLDS, {"references": list(references)})
        return {row.reference: row.amount for row in rows}

    def entries(self, reference: str) -> Sequence[Known]:
        rows = self._connection.execute(SELECT_ENTRIES, {"reference": reference})
        return [Known(row.kind, row.amount, row.account_id) for row in rows]

    def write(self, kind: Kind, rows: Sequence[Row]) -> None:
        self._connection.execute(WRITES[kind], [dict(row) for row in rows])


# ---------------------------------------------------------------- SQLite

IN_SQLITE: dict[Kind, Executable] = {
    **WRITES,
    "usage": sqlite.insert(USAGE).on_conflict_do_nothing(index_elements=["reference"]),
}


class _Prepared:
    """A statement as SQLite's own text, and how each of its values is stored."""

    def __init__(self, statement: Executable, fields: Collection[str]) -> None:
        dialect = sqlite.dialect()
        compiled = statement.compile(dialect=dialect, column_keys=list(fields))  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self._fields: list[tuple[str, Callable[[Any], Any] | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]

    def stored(self, row: Row) -> list[Any]:
        return [row[name] if process is None else process(row[name]) for name, process in self._fields]


class SqliteJournal:
    """By the driver alone. The transaction must have begun as a writing one."""

    _prepared: dict[Kind, _Prepared] = {}  # noqa: RUF012 - statements never change

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def balances(self, accounts: Collection[str]) -> dict[str, Decimal]:
        return self._amounts(
            "SELECT account_id, available FROM balances WHERE account_id IN (SELECT value FROM json_each(?))", accounts
        )

    def holds(self, references: Collection[str]) -> dict[str, Decimal]:
        return self._amounts(
            "SELECT reference, amount FROM holds WHERE reference IN (SELECT value FROM json_each(?))", references
        )

    def _amounts(self, question: str, names: Collection[str]) -> dict[str, Decimal]:
        rows = self._connection.execute(question, (json.dumps(list(names)),)).fetchall()
        return {name: from_nano(nano) for name, nano in rows}

    def entries(self, reference: str) -> Sequence[Known]:
        question = "SELECT kind, amount, account_id FROM ledger_entries WHERE reference = ?"
        rows = self._connection.execute(question, (reference,)).fetchall()
        return [Known(kind, from_nano(nano), account_id) for kind, nano, account_id in rows]

    def write(self, kind: Kind, rows: Sequence[Row]) -> None:
        prepared = self._prepared.get(kind)
        if prepared is None:
            fields = () if kind in ("closed", "balances") else rows[0].keys()
            prepared = self._prepared[kind] = _Prepared(IN_SQLITE[kind], fields)
        self._connection.executemany(prepared.sql, map(prepared.stored, rows))
