"""How well a request is to be done: the body's `quality`, else the header `X-Quality`; and the time it may take.

The third place, a suffix on the model's name, is for server/pipeline/modes.py, which knows the names.
"""

from dataclasses import replace
from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import BeforeValidator

from server.core import QUALITY_WORDS, ChatJob, ImageJob, Quality, SpeechJob, TranscriptionJob
from server.errors import InvalidRequest

MOST_MILLISECONDS = 24 * 3600 * 1000

J = TypeVar("J", ChatJob, TranscriptionJob, SpeechJob, ImageJob)


def _mode(value: Any) -> Any:
    if value is None:
        return None
    mode = Quality.of(value) if isinstance(value, str) else None
    if mode is None:
        raise ValueError(f"expected {QUALITY_WORDS}")
    return mode


QualityField = Annotated[Quality | None, BeforeValidator(_mode)]
"""The type of a body's or a form's `quality`."""


def with_quality(job: J, body: Quality | None, request: Request) -> J:
    """The job with what the request says of its quality. Raises InvalidRequest for headers that say nothing known."""
    return replace(job, quality=body or _header_mode(request), budget=_budget(request))


def _header_mode(request: Request) -> Quality | None:
    told = request.headers.get("x-quality", "").strip()
    if not told:
        return None
    mode = Quality.of(told)
    if mode is None:
        raise InvalidRequest(f"Invalid X-Quality: '{told[:40]}'. Expected {QUALITY_WORDS}.", param="quality")
    return mode


def _budget(request: Request) -> float | None:
    """Seconds, from the header's milliseconds."""
    told = request.headers.get("x-quality-budget-ms", "").strip()
    if not told:
        return None
    if not (told.isascii() and told.isdecimal() and len(told) <= 9 and 0 < int(told) <= MOST_MILLISECONDS):
        raise InvalidRequest(
            f"Invalid X-Quality-Budget-Ms: expected milliseconds, 1 to {MOST_MILLISECONDS}.",
            param="x-quality-budget-ms",
        )
    return int(told) / 1000
