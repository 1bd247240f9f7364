"""How well a request is to be done: the body's `quality`, else the header `X-Quality`; and the time it may take.

The third place, a suffix on the model's name, is for server/pipeline/modes.py, which knows the names.
"""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Request
from pydantic import BeforeValidator

from server.api.context import record_of
from server.api.inner_request import inner_of
from server.core import QUALITY_WORDS, Ask, Caller, Priority, Quality
from server.errors import InvalidRequest

MOST_MILLISECONDS = 24 * 3600 * 1000


def _mode(value: Any) -> Any:
    if value is None:
        return None
    mode = Quality.of(value) if isinstance(value, str) else None
    if mode is None:
        raise ValueError(f"expected {QUALITY_WORDS}")
    return mode


QualityField = Annotated[Quality | None, BeforeValidator(_mode)]
"""The type of a body's or a form's `quality`."""


def ask_of(
    request: Request,
    caller: Caller,
    model: str,
    *,
    quality: Quality | None,
    streamed: bool = False,
    priority: Priority | None = None,
) -> Ask:
    """What the request says beside its job. quality: the body's, which wins over the header's.

    Raises InvalidRequest for headers that say nothing known.
    """
    inner = inner_of(request.scope)
    return Ask(
        caller=caller,
        model=model,
        quality=quality or _header_mode(request),
        budget=_budget(request),
        streamed=streamed,
        priority=priority,
        price_factor=Decimal(1) if inner is None else inner.price_factor,
        paid=None if inner is None else inner.paid,
        id=record_of(request.scope).id,
    )


def _header_mode(request: Request) -> Quality | None:
    value = request.headers.get("x-quality", "").strip()
    if not value:
        return None
    mode = Quality.of(value)
    if mode is None:
        raise InvalidRequest(f"Invalid X-Quality: '{value[:40]}'. Expected {QUALITY_WORDS}.", param="quality")
    return mode


def _budget(request: Request) -> float | None:
    """Seconds, from the header's milliseconds."""
    value = request.headers.get("x-quality-budget-ms", "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 9 and 0 < int(value) <= MOST_MILLISECONDS):
        raise InvalidRequest(
            f"Invalid X-Quality-Budget-Ms: expected milliseconds, 1 to {MOST_MILLISECONDS}.",
            param="x-quality-budget-ms",
        )
    return int(value) / 1000
