"""High on chat: a draft, and a pass in which the model reads it and keeps or replaces it."""

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from server.core import ChatJob, Event, TextDelta, TokenLogprob, Usage
from server.errors import SageholdError
from server.pipeline.passes import Candidate, Work
from server.pipeline.plan import PlannedPass, Strategy
from server.pipeline.strategies.chat.draft import Draft, gather
from server.pipeline.strategies.chat.instructions import CHECK, INSTRUCTIONS, OK, followed
from server.pipeline.strategies.chat.probably_right import ALTERNATIVES, asking


class Checked(Strategy):
    """What replaces the draft is sent as it is written; a draft that is kept comes at once.

    keep_above: the draft is kept where the model gives the word OK this probability.
    """

    name = "checked"

    def __init__(self, job: ChatJob, keep_above: float) -> None:
        self._job = job
        self._keep_above = keep_above
        self._draft = PlannedPass("draft")
        self._check = PlannedPass("check", reads=1, extra=INSTRUCTIONS)
        self.passes = (self._draft, self._check)

    def first(self) -> ChatJob:
        return self._job

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        async with work.first() as events:
            (draft,), _ = await gather(events, 1)
        candidate = Candidate(self._draft.name, draft.shown, chosen=True)
        work.candidates = [candidate]
        replaced = False
        async with aclosing(self._replacement(work, draft)) as replacement:
            async for event in replacement:
                replaced, candidate.chosen = True, False
                yield event
        if not replaced:
            for event in draft.replay(logprobs=False):
                yield event
        yield work.usage

    async def _replacement(self, work: Work, draft: Draft) -> AsyncGenerator[Event, None]:
        """The events of the answer that replaces the draft; none where it is kept."""
        if draft.cut or not draft.text.strip() or work.left <= 0:
            return  # an answer that its limit cut short can't be judged whole, nor mended within the limit
        job = self._job
        check = asking(
            job,
            followed(job.messages, draft.text, CHECK),
            max_tokens=job.max_tokens,
            stop=job.stop,
            top_logprobs=ALTERNATIVES,
        )
        waiting: list[Event] = []  # until the first letters say whether this is the OK
        replaced = False
        try:
            async with work.opened(self._check, check) as events:
                async for event in events:
                    if isinstance(event, Usage):
                        break
                    plain = replace(event, logprobs=None) if isinstance(event, TextDelta) else event
                    if replaced:
                        yield plain
                        continue
                    logprobs = event.logprobs if isinstance(event, TextDelta) and not waiting else None
                    if logprobs and probability_of_ok(logprobs[0]) >= self._keep_above:
                        break
                    waiting.append(plain)
                    text = "".join(one.text for one in waiting if isinstance(one, TextDelta)).lstrip()
                    if text[: len(OK)].upper() == OK:
                        break
                    if len(text) >= len(OK):
                        replaced = True
                        for held in waiting:
                            yield held
        except SageholdError as error:
            if replaced:
                raise
            work.note(f"the check was given up ({error.code or type(error).__name__})")
            return
        work.note("the check replaced the draft" if replaced else "the check kept the draft")


def probability_of_ok(first: TokenLogprob) -> float:
    """How probable it is that the answer which begins with this token is the OK."""
    entries = first.top or (first,)
    return sum(math.exp(entry.logprob) for entry in entries if entry.token.strip().upper() == OK)
