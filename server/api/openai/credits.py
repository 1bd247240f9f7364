"""`usage.credits`: our one addition to the OpenAI API's usage objects."""

from decimal import Decimal
from typing import Any


def with_credits(usage: dict[str, Any], paid: Decimal | None) -> dict[str, Any]:
    """The usage object with what the account pays; without, where nothing is metered.

    A JSON number: up to 15 significant digits, more than a charge's nine places need, a double keeps exactly.
    """
    return usage if paid is None else {**usage, "credits": float(paid)}
