"""Work on a request before it runs that may take long: in a thread, so that others' tokens go on meanwhile.

What it may take is bounded where it is checked (schema_limits.py, text_form.py): half a second for the worst forms, of
which llguidance spends most without Python's lock.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from server.core import ChatJob
from server.errors import Overloaded

T = TypeVar("T")

LONG = 64 * 1024
"""Characters of a chat's texts up to which they are looked through where they are."""
DEADLINE = 20.0
"""Seconds, the wait for others' included."""
_AT_ONCE = CapacityLimiter(2)


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns. Raises what it raises, and Overloaded where it does not come to an end in time."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await to_thread.run_sync(work, limiter=_AT_ONCE)
    except TimeoutError:
        raise Overloaded("The server is busy with what other requests ask for. Please try again shortly.") from None


def heavy(job: ChatJob) -> bool:
    """Whether it takes more than a look to lay a chat out: for its length, or for anything but texts."""
    if job.tools or job.documents:
        return True
    length = 0
    for message in job.messages:
        content = message.get("content")
        if not isinstance(content, str) or "tool_calls" in message:
            return True
        length += len(content)
    return length > LONG
