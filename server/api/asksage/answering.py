"""A question on its way through the pipeline: what was found gives way where the model's context is too small."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from server.api.asksage.grounding import Question
from server.api.request_pipeline import RequestPipeline
from server.core import Ask, ChatJob, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from server.errors import ContextLengthExceeded
from server.pipeline.run import Run

SHARES = (1.0, 0.5, 0.25, 0.0)
"""Of what was found, one after the other until it fits."""
LEAST_ROOM = 128
"""Tokens that an answer must have left where something found could be left out for it."""


@dataclass(slots=True)
class Said:
    """What the model has said so far."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    def add(self, event: object) -> bool:
        """Whether it is a piece of the answer's text."""
        match event:
            case TextDelta():
                self.text.append(event.text)
                return True
            case ReasoningDelta():
                self.reasoning.append(event.text)
            case ToolCallDelta():
                if event.name is not None:
                    function = {"name": event.name, "arguments": ""}
                    self.calls.append({"id": event.id, "type": "function", "function": function})
                self.calls[event.call]["function"]["arguments"] += event.arguments
            case Usage():
                self.usage = event
        return False


class Answering:
    """Opened by `async with`; then a run, and what it answers. See `RequestPipeline.run` for what is raised."""

    run: Run

    def __init__(
        self,
        pipeline: RequestPipeline,
        ask: Ask,
        question: Question,
        *,
        model: str,
        context: int | None,
        echo: str = "",
    ) -> None:
        """model: as the client wrote it. echo: what the answer begins with."""
        self.said = Said([echo] if echo else [])
        self.uuid = str(uuid4())
        self.question = question
        self.model = model
        self.passages = self.results = 0
        self._pipeline = pipeline
        self._ask = ask
        self._context = context
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Self:
        grounds = self.question.grounds
        shares: Sequence[float] = SHARES if grounds.passages or grounds.live.results else (1.0,)
        for attempt, share in enumerate(shares, 1):
            job, self.passages, self.results = self.question.job(share, self._context)
            less = share > shares[-1] and bool(self.passages or self.results)
            async with AsyncExitStack() as own:
                try:
                    # The ledger makes one hold for an id; that of the attempt before has been given back.
                    ask = self._ask if attempt == 1 else replace(self._ask, id=f"{self._ask.id}-{attempt}")
                    self.run = await own.enter_async_context(self._pipeline.run(ask, job))
                except ContextLengthExceeded:
                    if not less:
                        raise
                    continue
                if less and _cramped(self.run):
                    continue
                self._held = own.pop_all()
                break
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.__aexit__(kind, error, trace)

    @property
    def headers(self) -> dict[str, str]:
        return self.run.headers

    @property
    def progress(self) -> str:
        return self.run.progress

    async def finish(self) -> None:
        """Take in all that is said. Raises what the run raises."""
        async for event in self.run.events():
            self.said.add(event)

    def whole(self) -> dict[str, Any]:
        """The answer, with the fields of the service and those that this server adds: `citations` and `sources` say
        what `references` does by fields, `live_unavailable` why there are no results, or fewer than were asked for."""
        said, grounds, usage = self.said, self.question.grounds, self.said.usage
        held = grounds.passages[: self.passages]
        citations = _citations(self)
        counted = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
        asked = {"model_tokens": counted, "asksage_tokens": usage.total_tokens}
        persona = None if grounds.persona is None else {"id": grounds.persona.id, "version": grounds.persona.version}
        return empty() | {
            "message": "".join(said.text),
            "references": self.question.references(self.passages, self.results),
            "tool_calls": said.calls or None,
            "tool_calls_unified": said.calls,
            "usage": asked if self.question.body.usage else None,
            "uuid": self.uuid,
            "embedding_down": grounds.down,
            "vectors_down": grounds.down,
            "citations": citations,
            "sources": list({(one.dataset.full_name, one.filename): _source(one) for one in held}.values()),
            "live_unavailable": grounds.live.unavailable,
            "provenance": {
                "model": self.model,
                "datasets": [dataset.full_name for dataset in grounds.datasets],
                "persona": persona,
                "agents": [],
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        }


def _cramped(run: Run) -> bool:
    """Whether the context leaves too little to the answer. Where the answer's own limit is what leaves it no more, what
    is taken out of the prompt would not give it any."""
    room, job = run.facts.room, run.plan.job
    limit = job.max_tokens if isinstance(job, ChatJob) else None
    return room is not None and room < min(LEAST_ROOM, limit or LEAST_ROOM)


def empty() -> dict[str, Any]:
    """All fields of an answer in which nothing is said."""
    return {
        "added_obj": None,
        "citations": [],
        "embedding_down": False,
        "error": None,
        "live_unavailable": None,
        "message": "",
        "provenance": None,
        "references": "",
        "response": "OK",
        "sources": [],
        "status": 200,
        "tool_calls": None,
        "tool_calls_unified": [],
        "tool_responses": [],
        "type": "completion",
        "usage": None,
        "uuid": None,
        "vectors_down": False,
    }


def _citations(answering: Answering) -> list[Mapping[str, Any]]:
    grounds = answering.question.grounds
    found: list[Mapping[str, Any]] = [
        {
            "number": number,
            **_source(passage),
            "place": passage.chunk.place,
            "page": passage.chunk.page,
            "heading": passage.chunk.heading,
            "context": passage.context,
            "start": passage.chunk.start,
            "end": passage.chunk.end,
            "text": passage.chunk.text,
        }
        for number, passage in enumerate(grounds.passages[: answering.passages], 1)
    ]
    found += [
        {"number": answering.passages + place, "title": result.title, "link": result.link, "text": result.snippet}
        for place, result in enumerate(grounds.live.results[: answering.results], 1)
    ]
    return found


def _source(passage: Any) -> Mapping[str, Any]:
    return {
        "dataset": passage.dataset.full_name,
        "filename": passage.filename,
        "document_id": passage.document_id,
    }
