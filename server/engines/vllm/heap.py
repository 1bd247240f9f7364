"""Imports without the garbage collector.

vLLM's imports make very many objects and hardly any garbage. The collector looks through them again and again while
they are made (a fifth of the imports' time: docs/performance.md), and afterwards at each full collection, which holds
up every stream.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def permanent() -> Iterator[None]:
    """What the block makes is never looked at by the collector; what else there is now, is not either."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
