"""Responses and conversations as records, the ids of new ones, and how one that is not there is refused."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.errors import InvalidRequest, NotFound

Item = Mapping[str, Any]
"""An input or output item of the Responses API, with its id."""

OPEN = ("queued", "in_progress")
"""Statuses of a response that is still worked on."""
SAID = ("completed", "incomplete")
"""Statuses of one whose turn is part of its conversation."""
ROW = 512
"""Bytes that a row counts for besides what is in it: nobody keeps any number of empty ones."""

PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
}
"""How ids of items begin, by their types."""


def response_id() -> str:
    return f"resp_{secrets.token_hex(24)}"


def conversation_id() -> str:
    return f"conv_{secrets.token_hex(24)}"


def item_id(kind: str) -> str:
    """kind: the item's type."""
    return f"{PREFIXES.get(kind, 'item')}_{secrets.token_hex(24)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A response to be kept. response: the object, whose status is the row's; items: its input items, with ids.

    conversation_id: the conversation that input and output are added to, once the response is complete.
    """

    account_id: str
    response: Mapping[str, Any]
    items: Sequence[Item]
    previous_id: str | None = None
    conversation_id: str | None = None
    background: bool = False
    streamed: bool = False

    @property
    def id(self) -> str:
        return str(self.response["id"])

    @property
    def status(self) -> str:
        return str(self.response["status"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A response as it is kept. response: as of its last change, with the status of now."""

    number: int
    id: str
    status: str
    background: bool
    streamed: bool
    response: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """metadata: as the client gave it."""

    id: str
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "conversation",
            "created_at": int(self.created_at.timestamp()),
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class Page:
    """items: in the order asked for. more: whether there are others after them."""

    items: Sequence[Item]
    more: bool


def no_response(named: str) -> NotFound:
    return NotFound(f"Response with id '{named[:80]}' not found.")


def no_previous(named: str) -> InvalidRequest:
    return InvalidRequest(
        f"Previous response with id '{named[:80]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def no_conversation(named: str, param: str | None = None) -> NotFound:
    return NotFound(f"Conversation with id '{named[:80]}' not found.", param=param)


def no_item(named: str) -> NotFound:
    return NotFound(f"Item with id '{named[:80]}' not found.")
