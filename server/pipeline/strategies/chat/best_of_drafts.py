"""Ultra on chat: drafts at once, the best of them criticised and written anew, and the rewrite kept if it is better."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import cached_property, partial

from server.core import ChatJob, Event
from server.models.config.quality import RefinedMode
from server.pipeline.passes import Candidate, Work
from server.pipeline.plan import PlannedPass, Strategy
from server.pipeline.questions import asks_for_a_number
from server.pipeline.strategies.chat.draft import Draft, agreed, gather, likeliest, vote, votes
from server.pipeline.strategies.chat.instructions import CRITIQUE, INSTRUCTIONS, REWRITE, VERDICT, followed
from server.pipeline.strategies.chat.probably_right import asking, judged
from server.pipeline.strategies.chat.settled import is_settled


class Drafts(Strategy):
    """Drafts in one batch, and the best of them: the one that most agree on, else the likeliest.

    Once the vote of those that have ended is settled, the others are given up where they are: they cost what was
    written of them.
    """

    name = "drafts"

    def __init__(self, job: ChatJob, mode: RefinedMode) -> None:
        self._job = job
        self._mode = mode
        self._drafts = PlannedPass("drafts", answers=mode.drafts)
        self.passes = (self._drafts,)

    def first(self) -> ChatJob:
        return replace(self._job, n=self._mode.drafts, top_logprobs=self._job.top_logprobs or 0)

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        async with work.first() as events:
            drafts, all_of_them = await gather(events, self._mode.drafts, lambda: work.left <= 0, self._settled)
        if not all_of_them:
            work.made = len(drafts)
            settled = f"the first {len(drafts)} of {self._mode.drafts} drafts settled it"
            work.note(settled if work.left > 0 else "the time budget was used up")
        work.candidates = [
            Candidate(self._drafts.name, draft.shown, agree, likelihood=draft.likelihood)
            for draft, agree in zip(drafts, votes(drafts, numeric=self._numeric), strict=True)
        ]
        best = await self._best(work, drafts)
        for draft, candidate in zip(drafts, work.candidates, strict=False):
            candidate.chosen = draft is best
        for event in best.replay(logprobs=self._job.top_logprobs is not None):
            yield event
        yield work.usage

    @cached_property
    def _numeric(self) -> bool:
        return asks_for_a_number(self._job)

    def _settled(self, ended: Sequence[Draft]) -> bool:
        mode = self._mode
        said = [vote(draft, numeric=self._numeric) for draft in ended]
        return is_settled(said, mode.drafts, mode.sure, mode.enough)

    async def _best(self, work: Work, drafts: Sequence[Draft]) -> Draft:
        agreement = self._agreed(work, drafts)
        return self._likeliest(work, drafts) if agreement is None else agreement[0]

    def _agreed(self, work: Work, drafts: Sequence[Draft]) -> tuple[Draft, int] | None:
        """The draft that most agree on, and how many do."""
        agreement = agreed(drafts, numeric=self._numeric)
        if agreement is not None:
            work.note(f"{agreement[1]} of {len(drafts)} drafts agree")
        return agreement

    @staticmethod
    def _likeliest(work: Work, drafts: Sequence[Draft]) -> Draft:
        work.note("the likeliest draft")
        return likeliest(drafts)


class Refined(Drafts):
    """Drafts, the best of them criticised and written anew, and the rewrite kept if it is better.

    reasoning_switch: the chat template's argument that turns reasoning off where a single word is asked for.
    """

    name = "refined"

    def __init__(self, job: ChatJob, mode: RefinedMode, reasoning_switch: str | None = None) -> None:
        super().__init__(job, mode)
        self._switch = reasoning_switch
        drafts, critique = mode.drafts, mode.critique_tokens
        self._judge = PlannedPass("judge", drafts, drafts, reads=1, extra=INSTRUCTIONS, writes=VERDICT)
        self._critique = PlannedPass("critique", reads=1, extra=INSTRUCTIONS, writes=critique)
        self._rewrite = PlannedPass("rewrite", reads=1, extra=INSTRUCTIONS + critique)
        self._compare = PlannedPass("compare", 2, 2, reads=1, extra=INSTRUCTIONS, writes=VERDICT)
        self.passes = (
            self._drafts,
            *((self._judge,) if mode.judge else ()),
            *((self._critique, self._rewrite, self._compare) if mode.rewrite else ()),
        )

    async def _best(self, work: Work, drafts: Sequence[Draft]) -> Draft:
        agreement = self._agreed(work, drafts)
        right: float | None = None
        if agreement is not None:
            chosen, agree = agreement
            # One rewrite does not outweigh a majority.
            if 2 * agree > len(drafts):
                return chosen
        elif not self._mode.judge:
            chosen = self._likeliest(work, drafts)
        else:
            texts = [draft.text for draft in drafts]
            verdicts = await work.unless_late(partial(judged, work, self._judge, self._job, texts, self._switch))
            if verdicts is None:
                return likeliest(drafts)
            for candidate, verdict in zip(work.candidates, verdicts, strict=True):
                candidate.right = verdict
            # Both in nats: how sure the model is that it is right, and how probable the answer was as such.
            scores = [_nats(verdict) + draft.likelihood for verdict, draft in zip(verdicts, drafts, strict=True)]
            place = max(range(len(drafts)), key=lambda i: (not drafts[i].cut, scores[i]))
            chosen, right = drafts[place], verdicts[place]
            work.note("the draft judged best")
        if not self._mode.rewrite:
            return chosen
        return await work.unless_late(partial(self._rewritten, work, chosen, right)) or chosen

    async def _rewritten(self, work: Work, draft: Draft, right: float | None) -> Draft | None:
        """The rewrite, if a last comparison prefers it by the mode's margin. right: the draft's verdict."""
        job, mode = self._job, self._mode
        said = followed(job.messages, draft.text, CRITIQUE)
        async with work.opened(self._critique, asking(job, said, max_tokens=mode.critique_tokens)) as events:
            critique = (await gather(events, 1))[0][0].text
        work.candidates.append(Candidate(self._critique.name, critique))
        said = followed(job.messages, draft.text, CRITIQUE, critique, REWRITE)
        again = asking(job, said, max_tokens=job.max_tokens, stop=job.stop)
        async with work.opened(self._rewrite, again) as events:
            rewrite = (await gather(events, 1))[0][0]
        written = Candidate(self._rewrite.name, rewrite.text)
        work.candidates.append(written)
        if rewrite.cut or not rewrite.text.strip() or rewrite.text.strip() == draft.text.strip():
            return None
        texts = [rewrite.text] if right is not None else [rewrite.text, draft.text]
        verdicts = await judged(work, self._compare, job, texts, self._switch)
        written.right = verdicts[0]
        if verdicts[0] > (verdicts[1] if right is None else right) + mode.margin:
            work.note("rewritten")
            written.chosen = True
            return rewrite
        return None


def _nats(probability: float) -> float:
    return math.log(max(probability, 1e-9))
