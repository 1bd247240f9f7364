"""The bond between a process and the one that started it."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
"""From linux/prctl.h."""


def name(process: str) -> None:
    """What `ps -e` and psutil call this process and those that it forks: 15 bytes at most."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, process.encode(), 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when the one that started it, `parent`, has ended, however that came about.

    The kernel goes by the thread that started this process: that one must last as long as the process is wanted.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)
