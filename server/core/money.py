"""Credits: decimals with nine places, exact in the database as whole nano-credits."""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

NANO = Decimal("0.000000001")
ZERO = Decimal(0)
# The database's integers end at 9.2e18 nano-credits; sums must fit as well.
MOST = Decimal(1_000_000_000)


def cost_of(amount: Decimal) -> Decimal:
    """Round what was used to nine places, half to even."""
    return amount.quantize(NANO, ROUND_HALF_EVEN)


def bound_of(amount: Decimal) -> Decimal:
    """Round an upper bound to nine places, upwards."""
    return amount.quantize(NANO, ROUND_CEILING)


def to_nano(amount: Decimal) -> int:
    """Raises ValueError for an amount with more than nine places: nothing is rounded on its way to the disk."""
    nano = amount.scaleb(9)
    whole = int(nano)
    if whole != nano:
        raise ValueError(f"{amount} credits have more than nine places")
    return whole


def from_nano(nano: int) -> Decimal:
    return Decimal(nano).scaleb(-9)


def show(amount: Decimal) -> str:
    """As people write it: no trailing zeros, no exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
