"""Imports without the garbage collector.

vLLM's imports make very many objects and hardly any garbage. The collector looks through them again and again while
they are made (a fifth of the imports' time: docs/performance.md), and afterwards at each full collection, which holds
up every stream.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def permanent() -> Iterator[None]:
    """What the block imports is never looked at by the collector; what else there is then, is not either.

    A block that imports nothing new leaves everything to the collector. Otherwise each load of a model would make
    permanent what the last one left behind: an engine that has stopped is a ring of references, and only the collector
    gives its tokenizer's 47 MiB back.
    """
    enabled, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        if enabled:
            gc.enable()
