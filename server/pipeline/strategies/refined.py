"""Ultra on chat: drafts at once, the best of them criticised and written anew, and the rewrite kept if it is better."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial

from server.core import ChatJob, Event
from server.models.config.quality import RefinedMode
from server.pipeline.auto import asks_for_a_number
from server.pipeline.passes import Work
from server.pipeline.plan import Strategy
from server.pipeline.strategies.drafts import Draft, agreed, gather, likeliest
from server.pipeline.strategies.verdict import asking, judged
from server.pipeline.strategies.words import CRITIQUE, REWRITE, followed


async def refined(work: Work) -> AsyncGenerator[Event, None]:
    """`Accepted` of the drafts, then the best answer's events, then Usage of all passes."""
    job, mode = work.plan.job, work.plan.mode
    assert isinstance(job, ChatJob)
    assert isinstance(mode, RefinedMode)
    wanted = replace(job, n=mode.drafts, top_logprobs=job.top_logprobs or 0)
    async with work.opened("drafts", wanted) as opened:
        yield opened.accepted
        drafts, all_of_them = await gather(opened.events, mode.drafts, lambda: work.left <= 0)
    if not all_of_them:
        work.note("the time budget was used up")
    best = await _best(work, job, mode, drafts)
    for event in best.replay(logprobs=job.top_logprobs is not None):
        yield event
    yield work.usage


async def _best(work: Work, job: ChatJob, mode: RefinedMode, drafts: Sequence[Draft]) -> Draft:
    vote = agreed(drafts, numeric=asks_for_a_number(job))
    if vote is not None:
        chosen, votes = vote
        work.note(f"{votes} of {len(drafts)} drafts agree")
        # One rewrite does not outweigh a majority.
        if work.plan.strategy is Strategy.DRAFTS or 2 * votes > len(drafts):
            return chosen
        right = None
    elif work.plan.strategy is Strategy.DRAFTS or not mode.judge:
        work.note("the likeliest draft")
        chosen, right = likeliest(drafts), None
        if work.plan.strategy is Strategy.DRAFTS:
            return chosen
    else:
        texts = [draft.text for draft in drafts]
        verdicts = await work.unless_late(partial(judged, work, "judge", job, texts))
        if verdicts is None:
            return likeliest(drafts)
        # Both in nats: how sure the model is that it is right, and how probable the answer was as such.
        scores = [_nats(verdict) + draft.likelihood for verdict, draft in zip(verdicts, drafts, strict=True)]
        place = max(range(len(drafts)), key=lambda i: (not drafts[i].cut, scores[i]))
        chosen, right = drafts[place], verdicts[place]
        work.note("the draft judged best")
    if not mode.rewrite:
        return chosen
    return await work.unless_late(partial(_rewritten, work, job, mode, chosen, right)) or chosen


async def _rewritten(work: Work, job: ChatJob, mode: RefinedMode, draft: Draft, right: float | None) -> Draft | None:
    """The rewrite, if a last comparison prefers it by the mode's margin. right: the draft's verdict, where known."""
    said = followed(job.messages, draft.text, CRITIQUE)
    async with work.opened("critique", asking(job, said, max_tokens=mode.critique_tokens)) as opened:
        critique = (await gather(opened.events, 1))[0][0].text
    said = followed(job.messages, draft.text, CRITIQUE, critique, REWRITE)
    again = asking(job, said, max_tokens=job.max_tokens, stop=job.stop)
    async with work.opened("rewrite", again) as opened:
        rewrite = (await gather(opened.events, 1))[0][0]
    if rewrite.cut or not rewrite.text.strip() or rewrite.text.strip() == draft.text.strip():
        return None
    texts = [rewrite.text] if right is not None else [rewrite.text, draft.text]
    verdicts = await judged(work, "compare", job, texts)
    if verdicts[0] > (verdicts[1] if right is None else right) + mode.margin:
        work.note("rewritten")
        return rewrite
    return None


def _nats(probability: float) -> float:
    return math.log(max(probability, 1e-9))
