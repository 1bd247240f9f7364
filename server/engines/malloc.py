"""How glibc keeps the memory of tensors that come and go, in the processes that compute on a processor."""

import ctypes
import os

SETTINGS = {
    # The largest that glibc takes (malloc/malloc.c, HEAP_MAX_SIZE / 2): below it, memory comes from the heap.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


def keeping() -> dict[str, str]:
    """Environment for a process that is about to be started: glibc reads it then.

    Each layer's activations are allocated and freed at every step. Left alone, glibc may give their pages back and
    fault them in again, one by one; whether it does depends on how the heap happens to lie, and differs from start to
    start. Where the kernel grants huge pages always, one heap gets more of them than many mappings: a fifth more
    tokens a second. On request or never, torch has none, and the gain is lost in the noise. docs/performance.md has
    the figures. An operator's own choice stands.
    """
    return {} if any(name.startswith("MALLOC_") for name in os.environ) else dict(SETTINGS)


PARAMETERS = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_TOP_PAD_": -2, "MALLOC_MMAP_THRESHOLD_": -3}
"""From malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD."""
MOST = 2**31 - 1
"""The most that mallopt takes, of which the first gets 2 GiB in place of 4."""


def keep() -> None:
    """The same in a process that runs already: glibc is told. Other libraries go on as they are."""
    if (tell := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # musl has none
        for name, value in keeping().items():
            tell(PARAMETERS[name], min(int(value), MOST))
