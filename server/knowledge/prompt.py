"""The prompt of an answer that draws on what was found: fenced, so that it is read and never obeyed."""

from collections.abc import Mapping, Sequence
from typing import Any

from server.knowledge.records import Passage, WebResult

Message = Mapping[str, Any]


def grounded(
    messages: Sequence[Message],
    system: str,
    passages: Sequence[Passage],
    results: Sequence[WebResult],
    room: int | None = None,
) -> tuple[Sequence[Message], int, int]:
    """OpenAI messages with `system` before them, and what was found in the last question's turn, and how many of the
    passages and of the results they hold. room: characters that there are for what was found; the last go first.
    """
    raise NotImplementedError


def references(passages: Sequence[Passage], results: Sequence[WebResult]) -> str:
    """The `references` of an Ask Sage answer: numbered lines, in the order of the prompt; empty for none."""
    raise NotImplementedError
