"""How limits are shown to clients: the `x-ratelimit-*` headers of the OpenAI API, and when to come again."""

import math
from collections.abc import Mapping, Sequence

from server.accounts.limits.windows import Kind, Limit, Window

MOST_SHOWN = 2**31 - 1
"""Shown as limit and remainder of a kind without limit. Clients read headers as numbers, most into 32 bits."""
ENDLESS = Window(MOST_SHOWN, MOST_SHOWN, 0.0)


def rate_headers(limits: Sequence[Limit], windows: Sequence[Window]) -> dict[str, str]:
    """All six headers: of each kind the window with the least left, and ENDLESS for a kind without limit."""
    tightest: dict[Kind, Window] = {"requests": ENDLESS, "tokens": ENDLESS}
    for limit, window in zip(limits, windows, strict=True):
        shown = tightest[limit.kind]
        if shown is ENDLESS or window.remaining < shown.remaining:
            tightest[limit.kind] = window
    return _six(tightest)


def retry_after(seconds: float) -> dict[str, str]:
    """Rounded up: who comes back too early is refused again."""
    return {
        "Retry-After": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, math.ceil(seconds * 1000))),
    }


def duration(seconds: float) -> str:
    """As in the OpenAI API's headers: 20ms, 1s, 6m0s."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{shown}" if minutes else shown


def _six(windows: Mapping[Kind, Window]) -> dict[str, str]:
    headers = {}
    for kind, window in windows.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(window.limit)
        headers[f"x-ratelimit-remaining-{kind}"] = str(window.remaining)
        headers[f"x-ratelimit-reset-{kind}"] = duration(window.reset)
    return headers
