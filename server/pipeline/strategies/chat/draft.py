"""Several answers to one chat request, gathered from its events and weighed against each other."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from server.core import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from server.pipeline.strategies.chat.final_answer import canonical, final_answer

LENGTH_PENALTY = 0.6
"""Between 0, the sum of the tokens' log-probabilities, and 1, about their mean."""

ChatEvent = TextDelta | ReasoningDelta | ToolCallDelta | Finish


@dataclass(slots=True)
class Draft:
    """One answer: its events in order, and what can be said of it."""

    events: list[ChatEvent] = field(default_factory=list)
    finished: bool = False
    _logprobs: float = 0.0
    _counted: int = 0

    def add(self, event: ChatEvent) -> None:
        self.events.append(event)
        if isinstance(event, TextDelta):
            for entry in event.logprobs or ():
                self._logprobs += entry.logprob
                self._counted += 1
        elif isinstance(event, Finish):
            self.finished = True

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The functions it calls and their arguments, in one spelling."""
        found: dict[int, list[str]] = {}
        for event in self.events:
            if isinstance(event, ToolCallDelta):
                name, arguments = found.setdefault(event.call, ["", ""])
                found[event.call] = [name or event.name or "", arguments + event.arguments]
        return [(name, canonical(arguments) or arguments) for name, arguments in found.values()]

    @property
    def shown(self) -> str:
        """What it says, or the functions that it calls."""
        return self.text or "\n".join(f"{name}({arguments})" for name, arguments in self.calls)

    @property
    def cut(self) -> bool:
        """Whether it ended at its limit rather than by itself."""
        return any(isinstance(event, Finish) and event.reason == "length" for event in self.events)

    @property
    def likelihood(self) -> float:
        """Log-probability of the answer, in nats, made comparable between lengths; 0 without any.

        Length penalty of Wu et al. 2016 (arXiv 1609.08144), equation 14. The sum alone favours the shortest answer,
        the mean a long and rambling one, whose later tokens follow from those before.
        """
        return float(self._logprobs / ((5 + self._counted) / 6) ** LENGTH_PENALTY)

    def replay(self, *, logprobs: bool) -> list[ChatEvent]:
        """Its events as those of a single answer; what their tokens cost is counted already."""
        events: list[ChatEvent] = []
        for event in self.events:
            if isinstance(event, TextDelta):
                events.append(replace(event, index=0, tokens=0, logprobs=event.logprobs if logprobs else None))
            else:
                events.append(replace(event, index=0, tokens=0))
        return events


async def gather(
    events: AsyncIterator[Event],
    count: int,
    late: Callable[[], bool] = lambda: False,
    settled: Callable[[Sequence[Draft]], bool] = lambda _: False,
) -> tuple[list[Draft], bool]:
    """The answers, and whether all were waited for; where not, those that have ended by then.

    Once it is late, one whole answer is enough. settled: asked with those that have ended, each time that one ends and
    others have not.
    """
    drafts = [Draft() for _ in range(count)]
    whole = 0
    async for event in events:
        if isinstance(event, Usage):
            return drafts, True
        assert isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta | Finish)
        drafts[event.index].add(event)
        ended = isinstance(event, Finish)
        whole += ended
        if 0 < whole < count and (late() or (ended and settled([draft for draft in drafts if draft.finished]))):
            return [draft for draft in drafts if draft.finished], False
    return drafts, True


def agreed(drafts: Sequence[Draft], *, numeric: bool) -> tuple[Draft, int] | None:
    """The drafts vote with their final answers: the likeliest draft of the largest group, and that group's size.

    None where too few can be compared: half of them must have a final answer, and at least two must agree.
    Self-consistency, Wang et al. 2022 (arXiv 2203.11171). numeric: a number is asked for.
    """
    groups: defaultdict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        if (answer := vote(draft, numeric=numeric)) is not None:
            groups[answer].append(draft)
    comparable = sum(map(len, groups.values()))
    sizes = Counter({answer: len(group) for answer, group in groups.items()}).most_common(2)
    if comparable * 2 < len(drafts) or not sizes or sizes[0][1] < 2:
        return None
    if len(sizes) == 2 and sizes[0][1] == sizes[1][1]:
        return None
    return likeliest(groups[sizes[0][0]]), sizes[0][1]


def votes(drafts: Sequence[Draft], *, numeric: bool) -> list[int | None]:
    """Of each draft, how many come to the same final answer, itself included; None for one that has none."""
    answers = [vote(draft, numeric=numeric) for draft in drafts]
    return [None if answer is None else answers.count(answer) for answer in answers]


def vote(draft: Draft, *, numeric: bool) -> str | None:
    """The final answer that a draft votes for; None where it has none that can be compared."""
    if draft.calls:
        return str(draft.calls)
    return None if draft.cut else final_answer(draft.text, numeric=numeric)


def likeliest(drafts: Sequence[Draft]) -> Draft:
    """By log-probability for the length, one that ended by itself before one that was cut off."""
    return max(drafts, key=lambda draft: (not draft.cut, draft.likelihood))
