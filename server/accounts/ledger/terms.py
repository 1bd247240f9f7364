"""The words of the ledger: its questions and its answers. Amounts are credits."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.core import Usage
from server.core.money import show
from server.errors import InsufficientCredits


@dataclass(frozen=True, slots=True)
class Hold:
    """Credits set aside for a request. Without `metered` nothing is set aside, and settling only notes the use."""

    reference: str
    account_id: str
    key_id: str | None
    amount: Decimal
    metered: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """What one pass of the work costs."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Use:
    """What a request used. model: the public name that was asked for; served_by: the model that ran."""

    model: str
    served_by: str
    task: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Settlement:
    """cost: what the work costs; charged: what was taken, never more than was held, 0 for accounts without meter."""

    cost: Decimal
    charged: Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """available: what a new hold may take; held: set aside for requests in flight."""

    available: Decimal
    held: Decimal
    metered: bool

    @property
    def balance(self) -> Decimal:
        """What the account owns: grants less charges."""
        return self.available + self.held


@dataclass(frozen=True, slots=True)
class Granted:
    """balance: after the grant. already: whether its reference was counted before, so that nothing changed now."""

    balance: Balance
    already: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger; see `tables.EntryRow`."""

    id: int
    account_id: str
    key_id: str | None
    reference: str
    kind: str
    line: int
    amount: Decimal
    note: str
    created_at: datetime


def insufficient(cost: Decimal, left: Decimal) -> InsufficientCredits:
    """The refusal of a request that costs more than is left."""
    return InsufficientCredits(f"This request may cost {show(cost)} credits, but {show(left)} are left.")


# ---------------------------------------------------------------- steps, as they wait to be posted


@dataclass(frozen=True, slots=True)
class HoldStep:
    """Set aside `most`, or what there is of it, if that is `least` or more."""

    reference: str
    account_id: str
    key_id: str
    most: Decimal
    least: Decimal
    instance_id: str


@dataclass(frozen=True, slots=True)
class CloseStep:
    """Give a hold back and charge the lines, if any; note the use, if any."""

    hold: Hold
    lines: tuple[Line, ...]
    note: str
    use: Use | None


@dataclass(frozen=True, slots=True)
class GrantStep:
    reference: str
    account_id: str
    amount: Decimal
    note: str
    actor: str


@dataclass(frozen=True, slots=True)
class GrantOutcome:
    """already: whether it was counted before."""

    already: bool


Step = HoldStep | CloseStep | GrantStep
Outcome = Hold | Settlement | GrantOutcome
