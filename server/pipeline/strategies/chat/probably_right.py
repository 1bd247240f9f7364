"""Does the model itself hold an answer for right? Its probability of saying yes, read from the first token.

Kadavath et al. 2022, "Language Models (Mostly) Know What They Know" (arXiv 2207.05221), call it P(True). Each answer is
judged alone, so that it makes no difference at which place it stands in a list.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from server.core import ChatJob, TextDelta, TokenLogprob
from server.errors import SageholdError
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass
from server.pipeline.strategies.chat.instructions import JUDGE, followed

ALTERNATIVES = 20


def verdict_job(job: ChatJob, answer: str, switch: str | None = None) -> ChatJob:
    """One token, greedily, that says yes or no to `answer`. switch: turns reasoning off, which would come first."""
    asked = asking(job, followed(job.messages, answer, JUDGE), max_tokens=1, top_logprobs=ALTERNATIVES)
    return (
        asked
        if switch is None
        else replace(asked, chat_template_kwargs={**(asked.chat_template_kwargs or {}), switch: False})
    )


def asking(job: ChatJob, messages: Sequence[Mapping[str, object]], **changes: object) -> ChatJob:
    """A pass of the server's own over the job: greedy, plain, and without what the client set for its answer.

    It reads what the job reads, documents included, and leaves it in the cache for no others than the job does.
    """
    plain = ChatJob(
        adapter=job.adapter,
        messages=tuple(messages),
        temperature=0.0,
        seed=job.seed,
        chat_template_kwargs=job.chat_template_kwargs,
        documents=job.documents,
        cache_salt=job.cache_salt,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # the fields' own types


async def judged(
    work: Work, planned: PlannedPass, job: ChatJob, answers: Sequence[str], switch: str | None = None
) -> list[float]:
    """The probability, 0–1, that each answer is right, by the model. All are asked about at once.

    switch: as of `verdict_job`.
    """

    async def one(answer: str) -> float:
        async with work.opened(planned, verdict_job(job, answer, switch)) as events:
            async for event in events:
                if isinstance(event, TextDelta) and event.logprobs:
                    return yes(event.logprobs[0])
        return 0.5

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(answer)) for answer in answers]
    except* SageholdError as failed:
        # One failure ends the others, and is what the caller gets.
        error: BaseException = failed
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise error


def yes(sampled: TokenLogprob) -> float:
    """P(yes) among yes and no. A word that is not among the alternatives counts as the least likely of them."""
    entries = sampled.top or (sampled,)
    least = math.exp(min(entry.logprob for entry in entries))
    mass = dict.fromkeys(("yes", "no"), 0.0)
    for entry in entries:
        word = entry.token.strip().lower()
        if word in mass:
            mass[word] += math.exp(entry.logprob)
    right, wrong = (mass[word] or least for word in ("yes", "no"))
    return right / (right + wrong)
