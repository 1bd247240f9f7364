"""`best_of`: more choices are drawn for each prompt than are given, and the likeliest of them are the answer."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from server.core import CompletionJob, Event, Finish, PromptTokens, TextDelta
from server.pipeline.passes import Work
from server.pipeline.plan import PlannedPass, Strategy


class BestOf(Strategy):
    """All that is drawn is paid. Nothing is sent before the choice: until then nobody knows what the answer is."""

    name = "best of"

    def __init__(self, job: CompletionJob, drawn: int) -> None:
        self._job = job
        self._drawn = drawn
        self.passes = (PlannedPass("choices", answers=len(job.prompts) * drawn),)

    def first(self) -> CompletionJob:
        # The choice is made by log-probabilities, whether the client asked for any or not.
        return replace(self._job, n=self._drawn, best_of=None, top_logprobs=self._job.top_logprobs or 0)

    async def run(self, work: Work) -> AsyncGenerator[Event, None]:
        choices = [_Choice() for _ in range(len(self._job.prompts) * self._drawn)]
        async with work.first() as events:
            async for event in events:
                match event:
                    case PromptTokens():
                        yield event
                    case TextDelta() | Finish():
                        choices[event.index].add(event)
        for prompt in range(len(self._job.prompts)):
            # Of two that are equally likely, the one that was drawn first.
            ranked = sorted(choices[prompt * self._drawn :][: self._drawn], key=lambda choice: -choice.mean)
            for place, choice in enumerate(ranked[: self._job.n]):
                for event in choice.events:
                    yield self._as_asked(event, prompt * self._job.n + place)
        yield work.usage

    def _as_asked(self, event: TextDelta | Finish, index: int) -> Event:
        if isinstance(event, TextDelta) and self._job.top_logprobs is None:
            return replace(event, index=index, logprobs=None)
        return replace(event, index=index)


class _Choice:
    def __init__(self) -> None:
        self.events: list[TextDelta | Finish] = []
        self._sum = 0.0
        self._tokens = 0

    def add(self, event: TextDelta | Finish) -> None:
        self.events.append(event)
        if isinstance(event, TextDelta):
            for entry in event.logprobs or ():
                self._sum += entry.logprob
                self._tokens += 1

    @property
    def mean(self) -> float:
        """Log-probability of a token, in nats. The sum alone would favour the shortest choice."""
        return self._sum / self._tokens if self._tokens else 0.0
