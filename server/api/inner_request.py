"""Requests that the server makes to itself: what their scope says that a client's request has in its headers."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.core import Caller

KEY = "sagehold.inner"


@dataclass(frozen=True, slots=True)
class Inner:
    """A request in process. caller: who pays, and what they may use.

    reference: the request's id: in the log, in `x-request-id`, and in the ledger. price_factor: as `Ask` has it.
    paid: as `Ask` has it.
    """

    caller: Caller
    reference: str
    price_factor: Decimal = Decimal(1)
    paid: Decimal | None = None


def inner_of(scope: MutableMapping[str, Any]) -> Inner | None:
    """None for a request that came over the network."""
    inner: Inner | None = scope.get(KEY)
    return inner
