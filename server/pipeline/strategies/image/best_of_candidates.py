"""Ultra on images: candidates for each picture, the best of them chosen and drawn over at a higher resolution."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

from server.core import Event, ImageJob, Picture
from server.media.image_encode import encoded
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy
from server.pipeline.strategies.image.likeness import decoded, medoid


class Candidates(Strategy):
    """Picture i is chosen of the candidates drawn with the seeds seed + i·k … seed + i·k + k-1, and keeps its
    candidate's seed. There are no previews: until the choice nobody knows which picture will be sent.

    each: candidates for each picture. redrawn: how the chosen are drawn over, but for where they start; None leaves
    them as they are.
    """

    name = "candidates"

    def __init__(self, job: ImageJob, each: int, redrawn: ImageJob | None) -> None:
        self._job = job
        self._each = each
        self._redrawn = redrawn
        self._candidates = PlannedPass("candidates", answers=each * job.n)
        self._refine = PlannedPass("refine", answers=job.n, job=redrawn)
        self.passes = (self._candidates,) if redrawn is None else (self._candidates, self._refine)

    def first(self) -> ImageJob:
        # The seed is drawn here rather than by the engine, so that both passes have it.
        seed = secrets.randbits(32) if self._job.seed is None else self._job.seed
        wanted = self._each * self._job.n
        return replace(self._job, n=wanted, seed=seed, format="png", partial_images=0, score=True)

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        async with work.first() as events:
            drawn = await _gathered(work, events, self._each, self._job.n)
        chosen = [await _best(work, some) for some in drawn]
        sent = await work.unless_late(partial(self._drawn_over, work, chosen)) if self._redrawn else None
        if sent is None:
            sent = await asyncio.to_thread(_as_asked, self._job, chosen)
        for index, (picture, candidate) in enumerate(zip(sent, chosen, strict=True)):
            yield replace(picture, index=index, seed=candidate.seed)
        yield work.usage

    async def _drawn_over(self, work: Work, chosen: Sequence[Picture]) -> list[Picture]:
        first = work.first_job
        assert self._redrawn is not None
        assert isinstance(first, ImageJob)
        starts = tuple(picture.data for picture in chosen)
        again = replace(self._redrawn, n=len(starts), seed=first.seed, starts=starts)
        async with work.opened(self._refine, again) as events:
            pictures = [event async for event in events if isinstance(event, Picture)]
        work.note("drawn over")
        return pictures


async def _gathered(work: Work, events: AsyncIterator[Event], each: int, wanted: int) -> list[list[Picture]]:
    """The candidates of each picture. Once it is late, one for each is enough."""
    drawn: list[list[Picture]] = [[] for _ in range(wanted)]
    async for event in events:
        if isinstance(event, Picture):
            drawn[event.index // each].append(event)
            if work.left <= 0 and all(drawn) and sum(map(len, drawn)) < each * wanted:
                work.note("the time budget was used up")
                break
    return drawn


async def _best(work: Work, some: Sequence[Picture]) -> Picture:
    """By the model's scorer; without one by agreement, the model's own measure.

    Agreement: the candidate that is nearest to all the others. What a model draws again and again, whatever the noise
    that it begins with, is what it takes the prompt to mean; a picture unlike the rest is an accident. This is
    self-consistency (Wang et al. 2022, arXiv 2203.11171) for pictures, which don't repeat to the letter.
    """
    scores = [picture.score for picture in some]
    if None not in scores:
        work.note("the candidate that the scorer prefers")
        return max(some, key=lambda picture: picture.score or 0.0)
    if len(some) > 1:
        work.note("the candidate nearest to the others")
    return some[await asyncio.to_thread(medoid, [picture.data for picture in some])]


def _as_asked(job: ImageJob, chosen: Sequence[Picture]) -> list[Picture]:
    """In the format that the client wants. Candidates are lossless, so nothing is lost but by that format."""
    if job.format == "png":
        return list(chosen)
    return [replace(picture, data=encoded(decoded(picture.data), job.format, job.compression)) for picture in chosen]
