"""Ultra on transcription: what the first pass was not sure of is heard again, and the better hearing is kept."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from server.core import Event, Segment, Span, TranscriptInfo, TranscriptionJob
from server.models.config.quality import RelistenedMode
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy

REPETITIVE = 2.4
"""Compression ratio above which a text goes round in circles; Whisper's own threshold (Radford et al. 2022)."""

LONGEST = 30.0
"""Seconds that unsure segments side by side may last, once slowed, to be heard as one: what Whisper hears at once."""

CONTEXT = 800
"""Characters of the text before a span that go with it: about as much as Whisper reads."""


@dataclass(slots=True)
class Doubt:
    """Segments side by side that are heard again: `first` to `last` of the first pass, both included."""

    first: int
    last: int


@dataclass(slots=True)
class Again:
    """What the second pass has heard so far: each span's segments. whole: how many spans it is done with."""

    segments: list[list[Segment]]
    whole: int = 0


class Relistened(Strategy):
    """Segments before the first that is in doubt are sent as soon as they are heard."""

    name = "relistened"

    def __init__(self, job: TranscriptionJob, mode: RelistenedMode) -> None:
        self._job = job
        self._mode = mode
        self._listen = PlannedPass("listen")
        self._again = PlannedPass("listen again")
        self.passes = (self._listen, self._again)

    def first(self) -> TranscriptionJob:
        return self._job

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        job, mode = self._job, self._mode
        segments: list[Segment] = []
        sent = 0
        info = TranscriptInfo(job.language or "", 0.0, 0.0)
        async with work.first() as events:
            async for event in events:
                if isinstance(event, TranscriptInfo):
                    info = event
                    yield event
                elif isinstance(event, Segment):
                    segments.append(event)
                    if sent == len(segments) - 1 and not _unsure(event, mode):
                        sent += 1
                        yield event
        doubts = doubtful(segments, mode)
        heard = Again([[] for _ in doubts])
        if doubts:
            again = replace(
                job,
                spans=tuple(_spans(doubts, segments, mode, info.duration)),
                language=info.language or None,
                beam_size=mode.second_beam,
                fallback=mode.fallback,
                tempo=mode.tempo,
            )
            await work.unless_late(partial(self._hear_again, work, again, heard))
        for event in _better(work, segments, doubts, heard)[sent:]:
            yield event
        yield work.usage

    async def _hear_again(self, work: Work, job: TranscriptionJob, heard: Again) -> None:
        """The second pass; `heard` grows on the way, so that what is whole counts even if the time runs out."""
        async with work.opened(self._again, job) as events:
            async for event in events:
                if isinstance(event, Segment) and event.span is not None:
                    heard.segments[event.span].append(event)
                    heard.whole = event.span
        heard.whole = len(heard.segments)


def doubtful(segments: Sequence[Segment], mode: RelistenedMode) -> list[Doubt]:
    """The segments in doubt; those side by side together, as far as they can be heard at once."""
    longest = LONGEST * mode.tempo - 2 * mode.padding
    found: list[Doubt] = []
    for place, segment in enumerate(segments):
        if not _unsure(segment, mode):
            continue
        last = found[-1] if found else None
        if last and last.last == place - 1 and segment.end - segments[last.first].start <= longest:
            last.last = place
        else:
            found.append(Doubt(place, place))
    return found


def _unsure(segment: Segment, mode: RelistenedMode) -> bool:
    """Its tokens were improbable, or drawn by chance since the likeliest made no sense, or it goes round in circles."""
    return segment.avg_logprob < mode.unsure or segment.temperature > 0 or segment.compression_ratio > REPETITIVE


def _spans(
    doubts: Sequence[Doubt], segments: Sequence[Segment], mode: RelistenedMode, duration: float
) -> Iterator[Span]:
    """The stretches to be heard again, apart from each other. They end where their neighbours begin, so that no word
    of theirs comes twice."""
    heard = 0.0
    for doubt in doubts:
        before = segments[doubt.first - 1].end if doubt.first else 0.0
        after = segments[doubt.last + 1].start if doubt.last + 1 < len(segments) else duration
        start, end = segments[doubt.first].start, segments[doubt.last].end
        start = max(min(start, max(start - mode.padding, before)), heard)
        heard = max(end, min(end + mode.padding, after), start)
        context = "".join(segment.text for segment in segments[: doubt.first])[-CONTEXT:]
        yield Span(start, heard, context.strip())


def _better(work: Work, first: Sequence[Segment], doubts: Sequence[Doubt], heard: Again) -> list[Segment]:
    """The segments of the better hearing of each span, and those that nobody doubts, in order and numbered anew."""
    better: list[Segment] = []
    place = again = replaced = 0
    for number, doubt in enumerate(doubts):
        better += first[place : doubt.first]
        own, other = first[doubt.first : doubt.last + 1], heard.segments[number]
        again += len(own)
        if number < heard.whole and _prefers(other, own):
            better += other
            replaced += len(own)
        else:
            better += own
        place = doubt.last + 1
    better += first[place:]
    if again:
        work.note(f"{again} of {len(first)} segments heard again, {replaced} replaced")
    return [replace(segment, id=number, span=None) for number, segment in enumerate(better)]


def _prefers(other: Sequence[Segment], own: Sequence[Segment]) -> bool:
    """Whether the other hearing makes sense and is more probable, or its own does not and the other does."""
    if not other or not any(segment.text.strip() for segment in other) or _repetitive(other):
        return False
    return _repetitive(own) or mean_logprob(other) > mean_logprob(own)


def _repetitive(segments: Sequence[Segment]) -> bool:
    return any(segment.compression_ratio > REPETITIVE for segment in segments)


def mean_logprob(segments: Sequence[Segment]) -> float:
    """Mean log-probability of the segments' tokens, in nats. Each segment counts by the number of its tokens."""
    tokens = sum(max(len(segment.tokens), 1) for segment in segments)
    return sum(segment.avg_logprob * max(len(segment.tokens), 1) for segment in segments) / tokens
