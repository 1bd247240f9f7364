"""What ends the process where something hangs at its end."""

import threading

import pytest

from server.cli import ending


@pytest.mark.parametrize("seconds", [float("inf"), 1e18])
def test_a_grace_without_an_end_is_waited_for(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait raised OverflowError, and nothing would have ended a process that hangs."""
    waits: list[float] = []
    left: list[int] = []

    class Waited(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waits.append(timeout)
            return False

    with monkeypatch.context() as patched:
        patched.setattr(ending, "leave", left.append)
        patched.setattr(ending, "threading", _Threading(Waited))
        ending._leave_after(seconds, 0)
        for thread in threading.enumerate():
            if thread.name == "end":
                thread.join()
    assert waits == [threading.TIMEOUT_MAX]
    assert left == [0]


class _Threading:
    """The module with another Event; threads themselves go on with the real one."""

    Thread = threading.Thread
    TIMEOUT_MAX = threading.TIMEOUT_MAX

    def __init__(self, event: type[threading.Event]) -> None:
        self.Event = event
