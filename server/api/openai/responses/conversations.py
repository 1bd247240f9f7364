"""/conversations: what is said, kept apart from the responses that say it, and its items."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.answers.conversations import AnyItem, Conversation, ConversationDeleted, ItemList
from server.api.body import read_json
from server.api.deps import CallerDep, SettingsDep
from server.api.openai.responses.items import Item, items_of
from server.api.openai.responses.keeping import ResponsesDep, plain_items
from server.api.openai.responses.request import Metadata
from server.api.openai.responses.stored import Limit, Order, item_list
from server.api.openai.responses.turn import opened
from server.api.openapi import documented
from server.api.rows import answer
from server.api.validation import Body
from server.jobs.responses.records import Page
from server.jobs.responses.responses import Responses

router = APIRouter()

MOST_ITEMS = 20
"""That are added at once, as the OpenAI API has it."""


class NewConversation(Body):
    """items: what it begins with, as the input of a response has them."""

    items: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_ITEMS)
    metadata: Metadata = Field(default_factory=dict)


class ConversationChange(Body):
    """metadata: in place of what there is."""

    metadata: Metadata


class NewItems(Body):
    items: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_ITEMS)


HELLO = [{"type": "message", "role": "user", "content": "Hello!"}]


@router.post("/conversations")
@documented(body=NewConversation, answer=Conversation, examples={"one with a message": {"items": HELLO}})
async def create(request: Request, caller: CallerDep, settings: SettingsDep, responses: ResponsesDep) -> Response:
    """Begin a conversation, which responses go on with by its id."""
    body = await read_json(request, NewConversation, limit=settings.max_body, empty=True)
    items = _items(responses, caller.account_id, body.items)
    made = await responses.conversations.create(caller.account_id, body.metadata, items)
    return answer(made.as_json())


@router.get("/conversations/{conversation_id}")
@documented(answer=Conversation, missing=True)
async def retrieve(conversation_id: str, caller: CallerDep, responses: ResponsesDep) -> Response:
    """One conversation, without its items."""
    return answer((await responses.conversations.find(caller.account_id, conversation_id)).as_json())


@router.post("/conversations/{conversation_id}")
@documented(
    body=ConversationChange,
    answer=Conversation,
    missing=True,
    examples={"a topic": {"metadata": {"topic": "tea"}}},
)
async def update(
    conversation_id: str, request: Request, caller: CallerDep, settings: SettingsDep, responses: ResponsesDep
) -> Response:
    """Put other metadata in place of a conversation's."""
    body = await read_json(request, ConversationChange, limit=settings.max_body)
    return answer((await responses.conversations.update(caller.account_id, conversation_id, body.metadata)).as_json())


@router.delete("/conversations/{conversation_id}")
@documented(answer=ConversationDeleted, missing=True)
async def delete(conversation_id: str, caller: CallerDep, responses: ResponsesDep) -> Response:
    """Delete a conversation with its items. Responses that were made in it stay."""
    await responses.conversations.delete(caller.account_id, conversation_id)
    return answer({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


@router.post("/conversations/{conversation_id}/items")
@documented(body=NewItems, answer=ItemList, missing=True, examples={"a message": {"items": HELLO}})
async def add_items(
    conversation_id: str, request: Request, caller: CallerDep, settings: SettingsDep, responses: ResponsesDep
) -> Response:
    """Add items to a conversation. One whose id is taken in it gets another."""
    body = await read_json(request, NewItems, limit=settings.max_body)
    items = _items(responses, caller.account_id, body.items)
    return item_list(Page(await responses.conversations.add(caller.account_id, conversation_id, items), False))


@router.get("/conversations/{conversation_id}/items")
@documented(answer=ItemList, missing=True)
async def list_items(
    conversation_id: str,
    caller: CallerDep,
    responses: ResponsesDep,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> Response:
    """The items of a conversation. after: the id of the last one seen. Whatever `include` asks for is there."""
    page = await responses.conversations.items(
        caller.account_id, conversation_id, after=after, limit=limit, ascending=order == "asc"
    )
    return item_list(page)


@router.get("/conversations/{conversation_id}/items/{item_id}")
@documented(answer=AnyItem, missing=True)
async def retrieve_item(conversation_id: str, item_id: str, caller: CallerDep, responses: ResponsesDep) -> Response:
    """One item of a conversation."""
    return answer(dict(await responses.conversations.item(caller.account_id, conversation_id, item_id)))


@router.delete("/conversations/{conversation_id}/items/{item_id}")
@documented(answer=Conversation, missing=True)
async def delete_item(conversation_id: str, item_id: str, caller: CallerDep, responses: ResponsesDep) -> Response:
    """Delete one item of a conversation, which is the answer."""
    left = await responses.conversations.delete_item(caller.account_id, conversation_id, item_id)
    return answer(left.as_json())


def _items(responses: Responses, account_id: str, given: Sequence[dict[str, Any]]) -> Sequence[Item]:
    """As they are kept. Raises InvalidRequest."""
    items = plain_items(items_of([*given], "items"), "items")
    return [
        opened(item, f"items[{place}]", lambda text, param: responses.sealing.open_text(account_id, text, param))
        for place, item in enumerate(items)
    ]
