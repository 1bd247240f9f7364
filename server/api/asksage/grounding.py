"""What an answer draws on: the persona, passages of datasets, results of live search; and the job that they make."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from server.api.asksage.attachments import Attached
from server.api.asksage.query_request import QueryBody
from server.api.services import Services
from server.core import Caller, ChatJob
from server.errors import DatasetNotFound, EngineFailed, Unavailable
from server.knowledge import prompt
from server.knowledge.records import Dataset, Live, Passage, Persona
from server.observability.tracing import stage

log = logging.getLogger(__name__)

LONGEST_SEARCH = 2000
"""Characters of a question that are searched for: its beginning says what it is about."""
CHARACTERS_A_TOKEN = 3
"""Of what was found, few rather than many: what does not fit is taken out once more when the engine has read it."""
NO_SEARCH = "Search in the datasets does not work right now; the answer was given without."


@dataclass(frozen=True, slots=True)
class Grounds:
    """persona: None where the client brought a system prompt of its own. down: search in datasets is in trouble.
    system: the persona's prompt, or the client's."""

    system: str
    persona: Persona | None = None
    datasets: Sequence[Dataset] = ()
    passages: Sequence[Passage] = ()
    live: Live = field(default_factory=Live)
    down: bool = False


async def grounds_of(
    services: Services, caller: Caller, body: QueryBody, messages: Sequence[Mapping[str, Any]]
) -> Grounds:
    """Raises DatasetNotFound, and what a search costs: RateLimited, InsufficientCredits."""
    knowledge = services.knowledge
    if knowledge is None:
        named = [name for name in body.datasets if name not in ("all", "none")]
        if named:
            raise DatasetNotFound.named(named[0])
        return Grounds(body.system_prompt or "")
    persona = None
    own = body.system_prompt is not None or messages[0]["role"] == "system"
    if not own or (body.asked_persona is not None and body.system_prompt is None):
        persona = await knowledge.personas.find(body.asked_persona)
    system = body.system_prompt if persona is None else persona.prompt
    grounds = Grounds(system or "", persona)
    question = question_of(messages)
    datasets = await knowledge.datasets.several(caller, body.datasets) if body.datasets else ()
    if datasets and body.references and question:
        grounds = replace(grounds, datasets=datasets)
        try:
            with stage("retrieve"):
                found = await knowledge.retrieval.search(caller, question[:LONGEST_SEARCH], datasets, body.references)
            grounds = replace(grounds, passages=found)
        except (Unavailable, EngineFailed) as error:
            log.warning("an answer was given without its datasets: %s", error.message)
            grounds = replace(grounds, down=True)
    if body.live and question:
        with stage("live"):
            grounds = replace(grounds, live=await knowledge.live.search(question, body.live))
    return grounds


def question_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last message of the user's."""
    for message in reversed(messages):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, str):
                return content.strip()
            return "\n".join(part["text"] for part in content if part["type"] == "text").strip()
    return ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with all that its answer draws on. attached: what is not in the messages yet. filed: whether it came
    with files that have a text."""

    body: QueryBody
    messages: Sequence[Mapping[str, Any]]
    attached: Attached
    grounds: Grounds
    filed: bool = False

    def job(self, share: float, context: int | None) -> tuple[ChatJob, int, int]:
        """The job, and how many passages and results it holds. share: of what was found, 0 to 1. context: tokens."""
        grounds = self.grounds
        passages = grounds.passages[: round(len(grounds.passages) * share)]
        results = grounds.live.results[: round(len(grounds.live.results) * share)]
        messages = self.attached.put(self.messages)
        room = None
        if context is not None:
            # A quarter of the context is left to the answer.
            written = sum(len(str(message["content"])) for message in messages) + len(grounds.system)
            room = max(0, int(context * 0.75 * CHARACTERS_A_TOKEN) - written)
        put, passages_held, results_held = prompt.grounded(
            messages, grounds.system, passages, results, room, files=self.filed
        )
        tools, choice = self.body.functions()
        job = ChatJob(
            messages=tuple(put),
            temperature=self.body.temperature,
            tools=tools,
            tool_choice=choice,
            reasoning_effort=self.body.reasoning_effort,
            max_tokens=self.body.max_completion_tokens or self.body.max_tokens,
            no_default_limit=True,
            end_loops=True,
        )
        return job, passages_held, results_held

    def references(self, passages: int, results: int) -> str:
        """Those that the prompt held, and why there are fewer, or none."""
        grounds = self.grounds
        said = prompt.references(grounds.passages[:passages], grounds.live.results[:results], grounds.live.unavailable)
        return "\n".join(part for part in (said, NO_SEARCH if grounds.down else "") if part)
