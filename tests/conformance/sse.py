"""Server-sent events, read byte by byte: what an SDK's parser forgives is a fault here."""

import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.case import Failed

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    """name: of its `event:` line; empty for none. data: of its `data:` line."""

    name: str
    data: str

    def json(self) -> dict[str, Any]:
        """Raises Failed unless the data is a JSON object."""
        try:
            value = json.loads(self.data)
        except ValueError as error:
            raise Failed(f"an event's data is no JSON ({error}): {self.data[:80]}") from None
        if not isinstance(value, dict):
            raise Failed(f"an event's data is no JSON object: {self.data[:80]}")
        return value


def events(raw: bytes) -> list[Event]:
    """The events of a whole stream, comments left out.

    An event is `event: NAME`, if it has a name, and one `data: VALUE`, each ended by a line feed, and a blank line.
    Raises Failed for anything else, and for a stream whose last event isn't ended.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Failed(f"the stream is not UTF-8: {error}") from None
    if "\r" in text:
        raise Failed("the stream has carriage returns")
    if text and not text.endswith("\n\n"):
        raise Failed(f"the stream does not end with a blank line: …{text[-40:]!r}")
    return [event for block in text.split("\n\n")[:-1] if (event := _event(block)) is not None]


def _event(block: str) -> Event | None:
    """None for comments alone."""
    name, data = "", None
    for line in block.split("\n"):
        if line.startswith(":"):
            continue
        if line.startswith("event: ") and not name and data is None:
            name = line.removeprefix("event: ")
        elif line.startswith("data: ") and data is None:
            data = line.removeprefix("data: ")
        else:
            raise Failed(f"a line of the stream is neither event, data nor comment: {line[:80]!r}")
    if data is None and (name or not block):
        raise Failed(f"an event without data: {block[:80]!r}")
    return None if data is None else Event(name, data)
