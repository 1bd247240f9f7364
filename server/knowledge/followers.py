"""Who follows documents: each is woken when its own document may have changed, and by nobody else's."""

import asyncio
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager


class Followers:
    """`following` is entered before the document is looked at, so that no change goes unseen. Of one event loop."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}

    @property
    def documents(self) -> Collection[str]:
        """The ids of those that somebody follows."""
        return self._events.keys()

    @contextmanager
    def following(self, document_id: str) -> Generator[asyncio.Event]:
        """An event that is set at each change: cleared before a look, waited for after it."""
        event = asyncio.Event()
        self._events.setdefault(document_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._events[document_id]
            events.remove(event)
            if not events:
                del self._events[document_id]

    def wake(self, documents: Iterable[str]) -> None:
        """Some may have changed."""
        for document_id in documents:
            for event in self._events.get(document_id, ()):
                event.set()
