"""Steps of the ledger, many in one transaction: decided in memory under the accounts' row locks, then written."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from server.accounts.ledger_terms import CloseStep, GrantStep, Hold, HoldStep, Outcome, Settlement, Step, insufficient
from server.accounts.money import MOST, ZERO, show
from server.accounts.tables import AuditRow, BalanceRow, EntryRow, HoldRow, UsageRow
from server.errors import InvalidRequest, NotFound, SageholdError


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
SELECT_ENTRIES = select(ENTRIES.c.reference, ENTRIES.c.kind, ENTRIES.c.amount, ENTRIES.c.account_id).where(
    ENTRIES.c.reference.in_(bindparam("references", expanding=True))
)
UPDATE_BALANCE = (
    update(BALANCES).where(BALANCES.c.account_id == bindparam("id")).values(available=bindparam("new_available"))
)
DELETE_HOLD = delete(HOLDS).where(HOLDS.c.reference == bindparam("closed"))
INSERT_ENTRY, INSERT_HOLD, INSERT_AUDIT = insert(ENTRIES), insert(HOLDS), insert(AUDIT)
# A request that is settled twice has one usage record; both dialects spell this alike, but in constructs of their own.
INSERT_USAGE = {
    "sqlite": sqlite.insert(USAGE).on_conflict_do_nothing(index_elements=["reference"]),
    "postgresql": postgresql.insert(USAGE).on_conflict_do_nothing(index_elements=["reference"]),
}


class Posting:
    """One batch of steps on one connection, in a transaction that the caller commits.

    A step that can't be done has an error as its outcome and leaves no trace; the others are not touched by it.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._available: dict[str, Decimal] = {}
        self._changed: set[str] = set()
        self._open: dict[str, Decimal] = {}
        self._opened: dict[str, dict[str, Any]] = {}
        self._closed: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._usage: list[dict[str, Any]] = []
        self._audit: list[dict[str, Any]] = []

    def apply(self, steps: Sequence[Step]) -> list[Outcome | SageholdError]:
        self._load(steps)
        outcomes = [self._decide(step) for step in steps]
        self._write()
        return outcomes

    def _load(self, steps: Sequence[Step]) -> None:
        accounts = {_account_of(step) for step in steps if not isinstance(step, CloseStep) or step.hold.metered}
        if accounts:
            rows = self._connection.execute(SELECT_BALANCES, {"ids": sorted(accounts)})
            self._available = {row.account_id: row.available for row in rows}
            references = [_reference_of(step) for step in steps if not isinstance(step, GrantStep)]
            found = self._connection.execute(SELECT_HOLDS, {"references": references})
            self._open = {row.reference: row.amount for row in found}

    def _decide(self, step: Step) -> Outcome | SageholdError:
        match step:
            case HoldStep():
                return self._hold(step)
            case CloseStep():
                return self._close(step)
            case GrantStep():
                return self._grant(step)

    def _hold(self, step: HoldStep) -> Hold | SageholdError:
        amount = self._open.get(step.reference)
        if amount is None:
            available = self._available.get(step.account_id)
            if available is None:
                return NotFound(f"There is no account {step.account_id}.")
            if available < step.least:
                return insufficient(step.least, available)
            amount = min(step.most, available)
            self._enter(step.account_id, step.key_id, step.reference, "hold", 0, -amount, "")
            self._open[step.reference] = amount
            self._opened[step.reference] = {
                "reference": step.reference,
                "account_id": step.account_id,
                "amount": amount,
                "instance_id": step.instance_id,
                "created_at": self._now,
            }
        return Hold(step.reference, step.account_id, step.key_id, amount)

    def _close(self, step: CloseStep) -> Settlement | SageholdError:
        hold = step.hold
        cost = sum((line.amount for line in step.lines), ZERO)
        if not hold.metered:
            self._note_use(step, cost)
            return Settlement(cost, ZERO)
        amount = self._open.pop(hold.reference, None)
        if amount is None:
            entries = self._connection.execute(SELECT_ENTRIES, {"references": [hold.reference]})
            return Settlement(cost, -sum((entry.amount for entry in entries if entry.kind == "charge"), ZERO))
        if self._opened.pop(hold.reference, None) is None:
            self._closed.append(hold.reference)
        self._enter(hold.account_id, hold.key_id, hold.reference, "release", 0, amount, step.note)
        left = amount
        for number, line in enumerate(step.lines):
            charge = min(line.amount, left)
            left -= charge
            self._enter(hold.account_id, hold.key_id, hold.reference, "charge", number, -charge, line.name)
        self._note_use(step, cost)
        return Settlement(cost, amount - left)

    def _grant(self, step: GrantStep) -> SageholdError | None:
        available = self._available.get(step.account_id)
        if available is None:
            return NotFound(f"There is no account {step.account_id}.")
        done = self._connection.execute(SELECT_ENTRIES, {"references": [step.reference]}).first()
        if done is None:
            if not 0 <= available + step.amount <= MOST:
                return InvalidRequest(
                    f"The balance would be {show(available + step.amount)}; it goes from 0 to {show(MOST)} credits.",
                    param="credits",
                )
            self._enter(step.account_id, None, step.reference, "grant", 0, step.amount, step.note)
            details = json.dumps({"credits": show(step.amount), "note": step.note, "reference": step.reference})
            self._audit.append(
                {
                    "at": self._now,
                    "actor": step.actor,
                    "action": "credits.grant",
                    "target": step.account_id,
                    "details": details,
                }
            )
        elif (done.account_id, done.kind, done.amount) != (step.account_id, "grant", step.amount):
            return InvalidRequest(f"The reference {step.reference!r} belongs to another entry.", param="reference")
        return None

    def _enter(
        self, account_id: str, key_id: str | None, reference: str, kind: str, line: int, amount: Decimal, note: str
    ) -> None:
        self._available[account_id] += amount
        self._changed.add(account_id)
        self._entries.append(
            {
                "account_id": account_id,
                "key_id": key_id,
                "reference": reference,
                "kind": kind,
                "line": line,
                "amount": amount,
                "note": note[:256],
                "created_at": self._now,
            }
        )

    def _note_use(self, step: CloseStep, cost: Decimal) -> None:
        if step.use is None:
            return
        usage = step.use.usage
        self._usage.append(
            {
                "reference": step.hold.reference,
                "account_id": step.hold.account_id,
                "key_id": step.hold.key_id,
                "model": step.use.model[:160],
                "served_by": step.use.served_by[:160],
                "task": step.use.task,
                "day": self._now.astimezone(UTC).date().isoformat(),
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "cached_tokens": usage.cached_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "audio_milliseconds": round(usage.audio_seconds * 1000),
                "characters": usage.characters,
                "images": usage.images,
                "cost": cost,
                "created_at": self._now,
            }
        )

    def _write(self) -> None:
        execute = self._connection.execute
        if self._entries:
            execute(INSERT_ENTRY, self._entries)
        if self._opened:
            execute(INSERT_HOLD, list(self._opened.values()))
        if self._closed:
            execute(DELETE_HOLD, [{"closed": reference} for reference in self._closed])
        if self._changed:
            execute(
                UPDATE_BALANCE,
                [{"id": account, "new_available": self._available[account]} for account in sorted(self._changed)],
            )
        if self._usage:
            execute(INSERT_USAGE[self._connection.dialect.name], self._usage)
        if self._audit:
            execute(INSERT_AUDIT, self._audit)


def _account_of(step: Step) -> str:
    return step.hold.account_id if isinstance(step, CloseStep) else step.account_id


def _reference_of(step: Step) -> str:
    return step.hold.reference if isinstance(step, CloseStep) else step.reference
