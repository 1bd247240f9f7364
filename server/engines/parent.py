"""The bond between a process and the one that started it."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it has ended, however that came about."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
