"""Pictures of several jobs in one run of the pipeline: eight together take a fraction of the time of eight in turn.

One thread draws, since a pipeline keeps the state of its one run in itself. The thread of each job waits for what is
drawn of it, and encodes that while the next batch is drawn.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol

from server.engines.base import WAITING
from server.errors import SageholdError

log = logging.getLogger(__name__)

_TICK = 0.2
"""Seconds: how often a job that has no picture yet can be cancelled."""

PAUSE, LONGEST_PAUSE = 0.008, 0.025
"""Seconds that a batch waits for a further job that has been read and not begun, and for all of them together."""


LONG_RUN = 4
"""Steps that a run has at least for which a first one may be taken in vain."""


class Asked(Protocol):
    """What a job asks for, as far as it matters here."""

    @property
    def company(self) -> Hashable:
        """Equal for those that one run of the pipeline can draw together."""
        ...

    @property
    def kind(self) -> Hashable:
        """What draws it. Jobs of a kind that can't be drawn together, whatever their company says, are drawn alone."""
        ...

    @property
    def count(self) -> int:
        """Pictures of the job."""
        ...

    @property
    def pixels(self) -> int:
        """Of one picture, as it is drawn."""
        ...


class NobodyWaits(Exception):
    """All jobs of a batch have left it. It is no failure."""


class BeginAgain(Exception):
    """Others have come who fit a run that has hardly begun: it begins again with them. It is no failure."""


class NoRoom(Exception):
    """There was too little memory for a run. refusal: what to say where not even one picture has room."""

    def __init__(self, refusal: SageholdError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Member:
    """A job among those that are drawn. left: its pictures that no batch has taken yet. missing: those not drawn yet.

    gone: nobody waits for it any more, or it has failed. at_work: a run is drawing some of its pictures; rest is set
    while that is not so.
    """

    def __init__(self, asked: Any) -> None:
        self.asked = asked
        self.left = deque(range(asked.count))
        self.missing = len(self.left)
        self.gone = False
        self.at_work = False
        self.rest = threading.Event()
        self.told: SimpleQueue[Any] = SimpleQueue()

    def tell(self, event: Any) -> None:
        """A preview, or None after another step."""
        self.told.put(event)

    def give(self, picture: Any) -> None:
        """One of its pictures."""
        self.missing -= 1
        self.told.put(picture)
        if not self.missing:
            self.told.put(_END)

    def fail(self, error: BaseException) -> None:
        """The job ends by this, and nothing more of it is drawn."""
        self.gone = True
        self.told.put(error)


_END = object()


class Row:
    """One picture of a batch. stage, sent: previews that were due and that were sent, also by a run that ended early.
    again: whether a run of it was begun again."""

    __slots__ = ("again", "index", "member", "sent", "stage")

    def __init__(self, member: Member, index: int) -> None:
        self.member = member
        self.index = index
        self.stage = 0
        self.sent = 0
        self.again = False


class Batch:
    """What one run of the pipeline draws. joined: whether others would join it if it began again. steps: those that it
    has taken."""

    def __init__(self, rows: Sequence[Row], joined: Callable[[Sequence[Row]], bool]) -> None:
        self.rows = tuple(rows)
        self._joined = joined
        self.steps = 0
        self.members = tuple(dict.fromkeys(row.member for row in rows))

    def attend(self) -> list[int]:
        """After a step: the places of the rows that somebody waits for. Those who have left are let go.

        Raises NobodyWaits.
        """
        self.steps += 1
        for member in self.members:
            if member.gone:
                member.at_work = False
                member.rest.set()
        there = [place for place, row in enumerate(self.rows) if not row.member.gone]
        if not there:
            raise NobodyWaits
        return there

    def let_join(self, done: int, total: int) -> None:
        """After step `done` of `total`: raises BeginAgain if that was the first of several, somebody has come in the
        meantime and nobody's run was begun again before. What is lost is a step that was taken for few."""
        if done == 1 and total >= LONG_RUN and not any(row.again for row in self.rows) and self._joined(self.rows):
            raise BeginAgain


class Batcher:
    """draw: one run of the pipeline, which tells and gives the members of the batch what it draws. It raises
    NobodyWaits, BeginAgain, NoRoom, and anything else for what breaks. most: pictures of a batch. pixels: of a batch,
    unless it is one picture.

    Of the jobs that wait, the first says what the batch is like. It is shared with all that fit, a picture each in
    turns, and those who have pictures left go to the end of the line: a job of one picture waits for one batch of a job
    of a hundred. Who comes while the first step of a run is taken joins it, as it begins again.

    Invariants, under the lock: a member is in `_waiting` while it has pictures left and has not gone, and the painter's
    thread is at work while anything waits.
    """

    def __init__(
        self,
        draw: Callable[[Batch], None],
        most: int,
        pixels: float,
        *,
        pause: float = PAUSE,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._draw = draw
        self._most = most
        self._pixels = pixels
        self._pause = pause
        self._longest_pause = longest_pause
        self._changed = threading.Condition()
        self._waiting: deque[Member] = deque()
        self._coming: set[Member] = set()
        self._apart: set[Hashable] = set()
        self._painting = False
        self._runs = 0
        self._run: Batch | None = None
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="painter")

    def announce(self, asked: Asked) -> Member:
        """A job that was read, and is likely to be run in a moment. Its member is worked on, or withdrawn."""
        member = Member(asked)
        with self._changed:
            self._coming.add(member)
        return member

    def withdraw(self, member: Member) -> None:
        """It is not coming. Nothing happens where it has come."""
        with self._changed:
            self._coming.discard(member)
            self._changed.notify_all()

    def work(self, member: Member) -> Generator[Any]:
        """What is told and given to the member until all of its pictures are there; WAITING where nothing was for a
        while and it is the member's own run that lasts, or no step is taken in that of others.

        Raises what a picture of it failed by. Whoever leaves early closes the generator, which returns at the end of
        the step that is being taken.
        """
        self._enter(member)
        seen: tuple[int, int] | None = None
        try:
            while True:
                try:
                    event = member.told.get(timeout=_TICK)
                except Empty:
                    # While others are drawn, this job is not the one that may hang. But of a run that does, none of
                    # those may tell: they can all be held up by readers who take nothing.
                    now = self._standing()
                    yield WAITING if member.at_work or now == seen else None
                    seen = now
                    continue
                if event is _END:
                    return
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self._leave(member)

    def _enter(self, member: Member) -> None:
        with self._changed:
            self._coming.discard(member)
            self._waiting.append(member)
            self._changed.notify_all()
            if not self._painting:
                self._painting = True
                self._painter.submit(self._paint)

    def _standing(self) -> tuple[int, int]:
        """Runs that were begun, and steps of the last one, 0 once it has ended."""
        run = self._run
        return self._runs, 0 if run is None else run.steps

    def _leave(self, member: Member) -> None:
        with self._changed:
            member.gone = True
            if member in self._waiting:
                self._waiting.remove(member)
            busy = member.at_work and member.missing > 0
        if busy:
            member.rest.wait()

    # ------------------------------------------------------------ in the painter's thread

    def _paint(self) -> None:
        while rows := self._next():
            self._draw_all(rows)

    def _draw_all(self, rows: list[Row]) -> None:
        runs = deque([rows])
        while runs:
            runs.extendleft(reversed(self._drawn(runs.popleft())))

    def _next(self) -> list[Row]:
        """The rows of the next batch; none where nobody waits, and then the painter's thread has ended."""
        with self._changed:
            self._let_come()
            while self._waiting and self._waiting[0].gone:
                self._waiting.popleft()
            if not self._waiting:
                self._painting = False
                return []
            fellows, room = self._fellows(self._waiting[0]), self._room(self._waiting[0])
            self._waiting.rotate(-1)
            return self._taken(fellows, room)

    def _taken(self, members: Sequence[Member], room: int) -> list[Row]:
        """Pictures of these, as many as there is room for: one of each in turns."""
        turns = deque(members)
        taken: dict[Member, list[Row]] = {member: [] for member in turns}
        while turns and room > 0:
            member = turns.popleft()
            taken[member].append(Row(member, member.left.popleft()))
            room -= 1
            if member.left:
                turns.append(member)
        self._waiting = deque(member for member in self._waiting if member.left)
        return [row for rows in taken.values() for row in rows]

    def _joined(self, rows: Sequence[Row]) -> bool:
        with self._changed:
            return bool(self._fellows(rows[0].member)) and self._room(rows[0].member) > len(rows)

    def _with_others(self, rows: list[Row]) -> list[Row]:
        """The rows of a run that begins again."""
        with self._changed:
            first = rows[0].member
            rows = rows + self._taken(self._fellows(first), self._room(first) - len(rows))
        for row in rows:
            row.again = True
        return rows

    def _let_come(self) -> None:
        """Wait a moment for jobs that were read, as long as they go on coming: of eight that were sent at once, the
        first would be drawn alone. A job that comes alone never waits."""
        end = monotonic() + self._longest_pause
        while self._waiting and any(one.asked.company == self._waiting[0].asked.company for one in self._coming):
            first = self._waiting[0]
            free = self._room(first) - sum(len(member.left) for member in self._fellows(first))
            pause = min(self._pause, end - monotonic())
            if free <= 0 or pause <= 0 or not self._changed.wait(pause):
                return

    def _fellows(self, member: Member) -> list[Member]:
        """Those who wait and may be drawn together with a member; it is one of them where it waits."""
        fits = (one for one in self._waiting if not one.gone and one.asked.company == member.asked.company)
        return [one for one in fits if one is member or member.asked.kind not in self._apart]

    def _room(self, member: Member) -> int:
        """Pictures like the member's that one run draws."""
        return max(1, min(self._most, int(self._pixels // member.asked.pixels)))

    def _drawn(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Draw them, in one run. The runs in which they are to be drawn again where that failed."""
        rows = [row for row in rows if not row.member.gone]
        if not rows:
            return []
        batch = Batch(rows, self._joined)
        failure = self._tried(batch)
        if failure is None:
            return []
        if isinstance(failure, BeginAgain):
            return [self._with_others(rows)]
        if isinstance(failure, NoRoom) and len(rows) > 1:
            half = -(-len(rows) // 2)
            self._pixels = half * rows[0].member.asked.pixels
            log.warning("no memory for %d pictures at once: from now on %d of this size are drawn", len(rows), half)
            return [rows[:half], rows[half:]]
        if len(batch.members) > 1:
            self._draw_each(batch)
            return []
        batch.members[0].fail(failure.refusal if isinstance(failure, NoRoom) else failure)
        return []

    def _draw_each(self, batch: Batch) -> None:
        """Each member by itself, so that the one fails whose fault it is. Where it is nobody's, jobs of this kind can't
        be drawn together."""
        for member in batch.members:
            self._draw_all([row for row in batch.rows if row.member is member])
        if not any(member.gone for member in batch.members):
            log.warning("this pipeline breaks where it draws several requests at once: it draws them one by one now")
            self._apart.add(batch.members[0].asked.kind)

    def _tried(self, batch: Batch) -> BaseException | None:
        """What a run failed by, without its traceback, which would hold all that was computed on the way."""
        self._runs, self._run = self._runs + 1, batch
        with self._changed:
            for member in batch.members:
                member.at_work = True
                member.rest.clear()
        try:
            self._draw(batch)
        except NobodyWaits:
            return None
        except BaseException as error:  # noqa: BLE001 - it belongs to those whose pictures are in the batch
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        finally:
            self._run = None  # it would hold what was drawn
            with self._changed:
                for member in batch.members:
                    member.at_work = False
                    member.rest.set()
        return None
