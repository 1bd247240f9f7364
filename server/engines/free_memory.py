"""Memory that a process has freed, given back to the system."""

import ctypes


def give_back() -> None:
    """What lies free between other things: glibc keeps it until it is asked. Milliseconds, and more of gigabytes."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:  # musl has none
        trim(0)
