"""Imports without the garbage collector.

Large libraries make very many objects as they are imported, and hardly any garbage. The collector looks through them
again and again while they are made (a fifth of the imports' time: docs/performance.md), and afterwards at each full
collection, which holds up every stream.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_mixed = False
"""Whether what is frozen may hold something of a model."""


def settle(*, models: bool) -> None:
    """Freeze all that there is, once a server is imported.

    models: whether a chat model is there already, or on its way. Then `thaw` is due when it goes.
    """
    global _mixed  # noqa: PLW0603 - as there is one collector
    gc.collect()
    gc.freeze()
    _mixed = models


def thaw(*, models: bool) -> None:
    """Collect what a model has left behind, wherever it lies: half a second in which nothing else runs, if it was
    there before the server was whole, and milliseconds otherwise. models: whether others are still there."""
    if _mixed:
        gc.unfreeze()
        settle(models=models)
    else:
        gc.collect()


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
