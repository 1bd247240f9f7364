"""High on chat: a draft, and a pass in which the model reads it and keeps or replaces it."""

import math
from collections.abc import AsyncGenerator
from dataclasses import replace

from server.core import ChatJob, Event, TextDelta, TokenLogprob, Usage
from server.errors import SageholdError
from server.models.config.quality import CheckedMode
from server.pipeline.passes import Work
from server.pipeline.strategies.drafts import Draft, gather
from server.pipeline.strategies.verdict import ALTERNATIVES, asking
from server.pipeline.strategies.words import CHECK, OK, followed


async def checked(work: Work) -> AsyncGenerator[Event, None]:
    """`Accepted` of the draft, then the draft's events or those of what replaces it, then Usage of both passes.

    What replaces the draft is told as it is written; a draft that is kept comes at once.
    """
    job = work.plan.job
    assert isinstance(job, ChatJob)
    async with work.opened("draft", job) as opened:
        yield opened.accepted
        (draft,), _ = await gather(opened.events, 1)
    told = False
    async for event in _replacement(work, job, draft):
        told = True
        yield event
    if not told:
        for event in draft.replay(logprobs=False):
            yield event
    yield work.usage


async def _replacement(work: Work, job: ChatJob, draft: Draft) -> AsyncGenerator[Event, None]:
    """The events of the answer that replaces the draft; none where it is kept."""
    if draft.cut or not draft.text.strip() or work.left <= 0:
        return  # an answer that its limit cut short can't be judged whole, nor mended within the limit
    mode = work.plan.mode
    keep_above = mode.keep_above if isinstance(mode, CheckedMode) else CheckedMode().keep_above
    check = asking(
        job,
        followed(job.messages, draft.text, CHECK),
        max_tokens=job.max_tokens,
        stop=job.stop,
        top_logprobs=ALTERNATIVES,
    )
    waiting: list[Event] = []  # until the first letters tell whether this is the OK
    replaced = False
    try:
        async with work.opened("check", check) as opened:
            async for event in opened.events:
                if isinstance(event, Usage):
                    break
                plain = replace(event, logprobs=None) if isinstance(event, TextDelta) else event
                if replaced:
                    yield plain
                    continue
                first = event.logprobs[0] if isinstance(event, TextDelta) and event.logprobs and not waiting else None
                if first is not None and probability_of_ok(first) >= keep_above:
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
