"""Conversations, and the items that they and kept responses have."""

from typing import Any, Literal

from pydantic import Field

from server.api.answers.base import Answer, Listing
from server.api.answers.responses import FunctionCallItem, ItemStatus


class KeptMessage(Answer):
    """content: its parts, as they were sent or made. phase: as the client gave it."""

    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["user", "assistant", "system", "developer"]
    content: list[dict[str, Any]]
    phase: str = ""


class KeptReasoning(Answer):
    """content: the reasoning itself. encrypted_content: as it was sent, or asked for."""

    type: Literal["reasoning"]
    id: str
    status: ItemStatus = "completed"
    summary: list[dict[str, Any]]
    content: list[dict[str, Any]] = Field(default_factory=list)
    encrypted_content: str = ""


class FunctionCallOutput(Answer):
    """output: a text, or content parts."""

    type: Literal["function_call_output"]
    id: str
    call_id: str
    output: str | list[dict[str, Any]]
    status: ItemStatus


KeptItem = KeptMessage | KeptReasoning | FunctionCallItem | FunctionCallOutput
AnyItem = (KeptMessage, KeptReasoning, FunctionCallItem, FunctionCallOutput)


class ItemList(Listing[KeptItem]):
    """first_id, last_id: null where there are none."""

    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseDeleted(Answer):
    id: str
    object: Literal["response"]
    deleted: bool


class Conversation(Answer):
    """created_at: Unix seconds."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class ConversationDeleted(Answer):
    id: str
    object: Literal["conversation.deleted"]
    deleted: bool
