"""What posting reads and writes, on either kind of connection: SQLAlchemy's for PostgreSQL, a bare one for SQLite.

SQLite answers a statement in microseconds; SQLAlchemy's way to it takes ten times as long, at every step of every
request. So its statements are compiled once, when this module is imported, and run as they are.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol

from sqlalchemy import Connection, Dialect, Executable, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from server.accounts.tables import AuditRow, BalanceRow, EntryRow, HoldRow, UsageRow
from server.core.money import from_nano, to_nano
from server.storage.columns import Credits, UtcDateTime

Row = Mapping[str, Any]
Kind = Literal["entries", "holds", "closed", "balances", "usage", "audit"]


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that is there already."""

    kind: str
    amount: Decimal
    account_id: str


class OpenHold(NamedTuple):
    """A hold that is neither settled nor released."""

    account_id: str
    amount: Decimal


class Journal(Protocol):
    """Inside a transaction that the caller commits. A row has all of a table's columns, but for a number of its own."""

    def balances(self, accounts: Collection[str]) -> dict[str, Decimal]:
        """What is available to these accounts, which nobody else may change until the transaction ends."""
        ...

    def holds(self, references: Collection[str]) -> dict[str, OpenHold]:
        """Those that are open, by their reference."""
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
WRITES: Mapping[Kind, Executable] = {
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

    def holds(self, references: Collection[str]) -> dict[str, OpenHold]:
        rows = self._connection.execute(SELECT_HOLDS, {"references": list(references)})
        return {row.reference: OpenHold(row.account_id, row.amount) for row in rows}

    def entries(self, reference: str) -> Sequence[Known]:
        rows = self._connection.execute(SELECT_ENTRIES, {"reference": reference})
        return [Known(row.kind, row.amount, row.account_id) for row in rows]

    def write(self, kind: Kind, rows: Sequence[Row]) -> None:
        self._connection.execute(WRITES[kind], [dict(row) for row in rows])


# ---------------------------------------------------------------- SQLite


def _instant(value: datetime) -> str:
    """As SQLAlchemy stores an instant in SQLite: 2026-11-21 12:00:00.000000, in UTC and without saying so."""
    return value.astimezone(UTC).isoformat(" ", "microseconds").removesuffix("+00:00")


class Prepared:
    """A statement as SQLite's own text, and how a row becomes its values. Never changed once it is made."""

    def __init__(self, statement: Executable, columns: Collection[str] = ()) -> None:
        """columns: of an insert, all that a row gives; a statement with values of its own needs none."""
        dialect = sqlite.dialect()
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self.names: Final = tuple(compiled.positiontup or ())
        self._converters: Final = tuple(
            (place, convert)
            for place, name in enumerate(self.names)
            if (convert := _converter(compiled.binds[name].type, dialect)) is not None
        )

    def values(self, row: Row) -> list[Any]:
        values = [row[name] for name in self.names]
        for place, convert in self._converters:
            values[place] = convert(values[place])
        return values


def _converter(type_: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    # SQLAlchemy's own converters of these two do the same in five times the time, for eight values of each request.
    match type_:
        case Credits():
            return to_nano
        case UtcDateTime():
            return _instant
        case _:
            return type_.dialect_impl(dialect).bind_processor(dialect)


def _given(table: Table) -> list[str]:
    """The columns of a new row, but for the number that SQLite gives it."""
    return [column.name for column in table.columns if column is not table.autoincrement_column]


PREPARED: Mapping[Kind, Prepared] = MappingProxyType(
    {
        "entries": Prepared(insert(ENTRIES), _given(ENTRIES)),
        "holds": Prepared(insert(HOLDS), _given(HOLDS)),
        "closed": Prepared(WRITES["closed"]),
        "balances": Prepared(WRITES["balances"]),
        "usage": Prepared(sqlite.insert(USAGE).on_conflict_do_nothing(index_elements=["reference"]), _given(USAGE)),
        "audit": Prepared(insert(AUDIT), _given(AUDIT)),
    }
)


class SqliteJournal:
    """By the driver alone. The transaction must have begun as a writing one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def balances(self, accounts: Collection[str]) -> dict[str, Decimal]:
        rows = self._look_up("SELECT available FROM balances WHERE account_id = ?", accounts)
        return {account: from_nano(available) for account, (available,) in rows}

    def holds(self, references: Collection[str]) -> dict[str, OpenHold]:
        rows = self._look_up("SELECT account_id, amount FROM holds WHERE reference = ?", references)
        return {reference: OpenHold(account_id, from_nano(amount)) for reference, (account_id, amount) in rows}

    def _look_up(self, question: str, names: Collection[str]) -> list[tuple[str, Any]]:
        # One by one: a row is found by its key sooner than a list of keys is written and read.
        rows = ((name, self._connection.execute(question, (name,)).fetchone()) for name in names)
        return [(name, row) for name, row in rows if row is not None]

    def entries(self, reference: str) -> Sequence[Known]:
        question = "SELECT kind, amount, account_id FROM ledger_entries WHERE reference = ?"
        rows = self._connection.execute(question, (reference,)).fetchall()
        return [Known(kind, from_nano(nano), account_id) for kind, nano, account_id in rows]

    def write(self, kind: Kind, rows: Sequence[Row]) -> None:
        prepared = PREPARED[kind]
        self._connection.executemany(prepared.sql, map(prepared.values, rows))
