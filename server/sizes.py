"""How sizes in bytes are written, in every setting and in every field of a model config: 1GiB, 500MiB, 1073741824."""

import re
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
MOST = 2**50
"""Bytes of the largest size, 1024TiB: sums of such are whole numbers of 64 bits, as JSON's writers take them."""
_FORM = re.compile(r"(\d{1,20}(?:\.\d{1,9})?) ?([a-z]*)", re.IGNORECASE | re.ASCII)
_SHOWN = ("TiB", "GiB", "MiB", "KiB")


def size_of(value: Any) -> int:
    """Bytes as a whole number, or as text with a unit, in any case; parts of a byte are left off.

    Example: 1.5GiB is 1610612736. Raises ValueError, worded for whoever wrote it.
    """
    size = _parsed(value)
    if size > MOST:
        raise ValueError(f"a size is at most {show_size(MOST)}")
    return size


def _parsed(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in UNITS:
        raise ValueError("a size is written as 1GiB, 500MiB, or 1073741824 for plain bytes")
    whole, _, fraction = match[1].partition(".")
    unit = UNITS[match[2].lower()]
    return int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def show_size(size: int) -> str:
    """As it is best written: 20MiB for 20971520; plain bytes where no unit divides it."""
    for unit in _SHOWN:
        count, rest = divmod(size, UNITS[unit.lower()])
        if count and not rest:
            return f"{count}{unit}"
    return str(size)


_READ = BeforeValidator(size_of)
Size = Annotated[int, _READ]


def is_size(field: FieldInfo) -> bool:
    """Whether a field was declared as `Size`, or as `Size | None`."""
    parts = (field, *get_args(field.annotation))
    return any(_READ in getattr(part, "metadata", getattr(part, "__metadata__", ())) for part in parts)
