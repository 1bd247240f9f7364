"""The stream of a response that is worked on in the background, as it is kept to be followed from any event on."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.jobs.responses.records import OPEN
from server.jobs.responses.sealing import Sealed, Unreadable, unreadable
from server.jobs.tables import ResponseEventsRow, ResponseRow
from server.storage.database import Database

if TYPE_CHECKING:
    from server.jobs.responses.claims import Claim

EVENTS = "response_events.events"
ENDS: Mapping[str, str] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    # The API has no event of its own for it. The response in it says `cancelled`.
    "cancelled": "response.incomplete",
}
"""The last event of a stream, by the response's status."""
PIECES = 64
"""That are read at once."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the Responses API. number: its `sequence_number`; data: all of it, as JSON."""

    number: int
    kind: str
    data: bytes

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Event":
        return cls(event["sequence_number"], event["type"], orjson.dumps(event))

    def frame(self) -> bytes:
        """As server-sent events have it."""
        return b"event: %b\ndata: %b\n\n" % (self.kind.encode(), self.data)


def events_of(frames: bytes, first: int) -> Sequence[Event]:
    """Events from server-sent ones, as `Event.frame` writes them. first: the number of the first of them."""
    events = []
    for place, frame in enumerate(frames.split(b"\n\n")[:-1]):
        kind, _, data = frame.partition(b"\ndata: ")
        events.append(Event(first + place, kind.removeprefix(b"event: ").decode(), data))
    return events


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of a response, from the sequence number `first` to `last`, as they are written."""

    response_number: int
    first: int
    last: int
    events: bytes

    async def write(self, session: AsyncSession) -> None:
        """Within the unit of work that has made sure of the response."""
        await session.execute(
            insert(ResponseEventsRow).values(
                response_number=self.response_number, first=self.first, last=self.last, events=self.events
            )
        )


class EventLog:
    """Pieces of events that follow each other without a gap, each compressed, and sealed where the setting says so."""

    def __init__(self, database: Database, sealed: Sealed) -> None:
        self._database = database
        self._sealed = sealed

    def packed(self, claim: "Claim", events: Sequence[Event]) -> "Piece | None":
        """As they are written; None where there is nothing to write."""
        return self._packed(claim.number, claim.id, events) if events and claim.streamed else None

    async def close(self, session: AsyncSession, number: int, named: str, response: Mapping[str, Any]) -> None:
        """Add the last event of a stream whose process has died."""
        last = await session.scalar(
            select(func.max(ResponseEventsRow.last)).where(ResponseEventsRow.response_number == number)
        )
        place = 0 if last is None else last + 1
        event = {"type": ENDS[response["status"]], "sequence_number": place, "response": response}
        await self._packed(number, named, [Event.of(event)]).write(session)

    def _packed(self, number: int, named: str, events: Sequence[Event]) -> "Piece":
        first, last = events[0].number, events[-1].number
        lines = zlib.compress(b"\n".join(event.data for event in events), 1)
        return Piece(number, first, last, self._sealed.sealing.pack(f"{EVENTS} {named}/{first}", lines))

    async def read(self, number: int, named: str, after: int) -> tuple[Sequence[Event], bool]:
        """Some of the events after one, -1 for all of them; and whether there may be more, now or later.

        Raises InvalidRequest where they can't be read any more.
        """
        query = (
            select(ResponseEventsRow.first, ResponseEventsRow.events)
            .where(ResponseEventsRow.response_number == number, ResponseEventsRow.last > after)
            .order_by(ResponseEventsRow.first)
            .limit(PIECES)
        )
        async with self._database.read() as session:
            open_ = await session.scalar(
                select(ResponseRow.number).where(
                    ResponseRow.number == number, ResponseRow.status.in_(OPEN) | ResponseRow.instance_id.is_not(None)
                )
            )
            pieces = (await session.execute(query)).all()
        found = []
        for first, packed in pieces:
            try:
                lines = zlib.decompress(self._sealed.sealing.unpack(f"{EVENTS} {named}/{first}", packed))
            except Unreadable:
                raise unreadable(named) from None
            for line in lines.split(b"\n"):
                event = orjson.loads(line)
                if event["sequence_number"] > after:
                    found.append(Event(event["sequence_number"], event["type"], line))
        return found, open_ is not None or len(pieces) == PIECES
