"""Steps of the ledger, many in one transaction: decided in memory under the accounts' row locks, then written."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from server.accounts.ledger.journal import Journal, Kind, Known, OpenHold
from server.accounts.ledger.terms import (
    CloseStep,
    GrantOutcome,
    GrantStep,
    Hold,
    HoldStep,
    Outcome,
    Settlement,
    Step,
    insufficient,
)
from server.core.money import MOST, ZERO, show
from server.errors import InternalError, InvalidRequest, NotFound, SageholdError


class Posting:
    """One batch of steps in one journal, in a transaction that the caller commits.

    A step that can't be done has an error as its outcome and leaves no trace; the others are not touched by it.
    """

    def __init__(self, journal: Journal, now: datetime) -> None:
        self._journal = journal
        self._now = now
        self._available: dict[str, Decimal] = {}
        self._changed: set[str] = set()
        self._open: dict[str, OpenHold] = {}
        self._opened: dict[str, dict[str, Any]] = {}
        self._closed: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._granted: dict[str, Sequence[Known]] = {}
        self._usage: list[dict[str, Any]] = []
        self._audit: list[dict[str, Any]] = []

    @property
    def available(self) -> Mapping[str, Decimal]:
        """What the accounts of the batch have left."""
        return self._available

    def apply(self, steps: Sequence[Step]) -> list[Outcome | SageholdError]:
        self._load(steps)
        outcomes = [self._decide(step) for step in steps]
        self._write()
        return outcomes

    def _load(self, steps: Sequence[Step]) -> None:
        accounts = {_account_of(step) for step in steps if not isinstance(step, CloseStep) or step.hold.metered}
        if accounts:
            self._available = self._journal.balances(accounts)
            self._open = self._journal.holds([_reference_of(step) for step in steps if not isinstance(step, GrantStep)])

    def _decide(self, step: Step) -> Outcome | SageholdError:
        match step:
            case HoldStep():
                return self._hold(step)
            case CloseStep():
                return self._close(step)
            case GrantStep():
                return self._grant(step)

    def _hold(self, step: HoldStep) -> Hold | SageholdError:
        hold = self._open.get(step.reference)
        if hold is None:
            available = self._available.get(step.account_id)
            if available is None:
                return NotFound(f"There is no account {step.account_id}.")
            if available < step.least:
                return insufficient(step.least, available)
            amount = min(step.most, available)
            self._enter(step.account_id, step.key_id, step.reference, "hold", 0, -amount, "")
            hold = self._open[step.reference] = OpenHold(step.account_id, amount)
            self._opened[step.reference] = {
                "reference": step.reference,
                "account_id": step.account_id,
                "amount": amount,
                "instance_id": step.instance_id,
                "created_at": self._now,
            }
        elif hold.account_id != step.account_id:
            # Two requests with one id are the server's own mistake. One account must not get what another set aside.
            return InternalError(f"The reference {step.reference} belongs to another hold.")
        return Hold(step.reference, step.account_id, step.key_id, hold.amount)

    def _close(self, step: CloseStep) -> Settlement | SageholdError:
        hold = step.hold
        cost = sum((line.amount for line in step.lines), ZERO)
        if not hold.metered:
            self._note_use(step, cost)
            return Settlement(cost, ZERO)
        open_hold = self._open.pop(hold.reference, None)
        if open_hold is None:
            entries = self._journal.entries(hold.reference)
            return Settlement(cost, -sum((entry.amount for entry in entries if entry.kind == "charge"), ZERO))
        if self._opened.pop(hold.reference, None) is None:
            self._closed.append(hold.reference)
        self._enter(hold.account_id, hold.key_id, hold.reference, "release", 0, open_hold.amount, step.note)
        left = open_hold.amount
        for number, line in enumerate(step.lines):
            charge = min(line.amount, left)
            left -= charge
            self._enter(hold.account_id, hold.key_id, hold.reference, "charge", number, -charge, line.name)
        self._note_use(step, cost)
        return Settlement(cost, open_hold.amount - left)

    def _grant(self, step: GrantStep) -> GrantOutcome | SageholdError:
        available = self._available.get(step.account_id)
        if available is None:
            return NotFound(f"There is no account {step.account_id}.")
        known = self._granted.get(step.reference) or self._journal.entries(step.reference)
        if not known:
            if not 0 <= available + step.amount <= MOST:
                return InvalidRequest(
                    f"The balance would be {show(available + step.amount)}; it goes from 0 to {show(MOST)} credits.",
                    param="credits",
                )
            self._enter(step.account_id, None, step.reference, "grant", 0, step.amount, step.note)
            self._granted[step.reference] = [Known("grant", step.amount, step.account_id)]
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
        elif known[0] != Known("grant", step.amount, step.account_id):
            return InvalidRequest(f"The reference {step.reference!r} belongs to another entry.", param="reference")
        return GrantOutcome(already=bool(known))

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
        balances = [{"id": account, "new_available": self._available[account]} for account in sorted(self._changed)]
        rows: dict[Kind, list[dict[str, Any]]] = {
            "entries": self._entries,
            "holds": list(self._opened.values()),
            "closed": [{"closed": reference} for reference in self._closed],
            "balances": balances,
            "usage": self._usage,
            "audit": self._audit,
        }
        for kind, some in rows.items():
            if some:
                self._journal.write(kind, some)


def _account_of(step: Step) -> str:
    return step.hold.account_id if isinstance(step, CloseStep) else step.account_id


def _reference_of(step: Step) -> str:
    return step.hold.reference if isinstance(step, CloseStep) else step.reference
