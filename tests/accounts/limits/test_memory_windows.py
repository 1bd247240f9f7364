"""Windows in memory: what has ended is not kept."""

import pytest

from server.accounts.limits.memory_windows import MemoryWindows
from server.accounts.limits.windows import MINUTE, Limit

pytestmark = pytest.mark.anyio


async def test_windows_that_have_ended_go_when_another_begins() -> None:
    now = 0.0
    windows = MemoryWindows(lambda: now)
    for number in range(100):
        await windows.take([Limit("key", f"key_{number}", "requests", 5)])
        now += 1
    assert len(windows) == MINUTE
    now += MINUTE
    await windows.add([Limit("key", "key_0", "tokens", 5)], 3)
    assert len(windows) == 1
    [window] = await windows.look([Limit("key", "key_0", "tokens", 5)])
    assert (window.remaining, window.reset) == (2, MINUTE)


async def test_a_limit_that_is_changed_begins_anew() -> None:
    windows = MemoryWindows(lambda: 0.0)
    assert not (await windows.take([Limit("key", "key_1", "requests", 0)]))[0]
    assert (await windows.take([Limit("key", "key_1", "requests", 1)]))[0]
    assert not (await windows.take([Limit("key", "key_1", "requests", 1)]))[0]
    free, [window] = await windows.take([Limit("key", "key_1", "requests", 3)])
    assert (free, window.remaining) == (True, 2)
