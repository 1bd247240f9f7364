"""Conversations. /v1/conversations, and responses within them."""

from typing import Any

from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItemList

from tests.conformance.asks import QUESTION, user
from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.response_asks import prompt_tokens, respond, responded
from tests.conformance.target import Target

NEXT = "And of Peru?"
NOWHERE = "conv_0000000000000000000000000000000000000000000000"


def made(target: Target, **fields: Any) -> Conversation:
    value: Conversation = target.strict(Conversation, ok(target.post("/conversations", fields)).raw)
    return value


def texts(target: Target, name: str, query: str = "?order=asc") -> list[str]:
    page = ok(target.get(f"/conversations/{name}/items{query}"))
    target.strict(ConversationItemList, page.raw)
    return [item["content"][0]["text"] for item in page.json()["data"]]


@case("OpenAI")
def form(target: Target) -> None:
    """A conversation has an id `conv_…`, created_at and metadata; GET gives the same."""
    value = made(target, metadata={"topic": "capitals"})
    that(value.id.startswith("conv_"), f"the id is {value.id}")
    equal(value.metadata, {"topic": "capitals"}, "metadata")
    again = target.strict(Conversation, ok(target.get(f"/conversations/{value.id}")).raw)
    equal(again, value, "the conversation that was kept")


@case("OpenAI")
def updated(target: Target) -> None:
    """POST to it replaces its metadata."""
    name = made(target, metadata={"a": "1"}).id
    equal(
        ok(target.post(f"/conversations/{name}", {"metadata": {"b": "2"}})).json()["metadata"], {"b": "2"}, "metadata"
    )


@case("OpenAI")
def deleted(target: Target) -> None:
    """DELETE says so; then it is 404."""
    name = made(target).id
    raw = ok(target.send("DELETE", f"/conversations/{name}")).raw
    found = target.strict(ConversationDeletedResource, raw)
    equal((found.id, found.deleted, found.object), (name, True, "conversation.deleted"), "id, deleted and object")
    error(target.get(f"/conversations/{name}"), 404)


@case("OpenAI")
def items(target: Target) -> None:
    """Items are given with it or added, listed newest first in pages, fetched and deleted one by one."""
    name = made(target, items=[user("One.")]).id
    added = ok(target.post(f"/conversations/{name}/items", {"items": [user("Two."), user("Three.")]}))
    target.strict(ConversationItemList, added.raw)
    equal(len(added.json()["data"]), 2, "the number of items that were added")
    equal(texts(target, name), ["One.", "Two.", "Three."], "the texts in the order asc")
    page = ok(target.get(f"/conversations/{name}/items?limit=2")).json()
    equal((page["has_more"], len(page["data"])), (True, 2), "has_more and the count")
    equal(texts(target, name, f"?after={page['last_id']}"), ["One."], "the rest")
    last = page["data"][0]
    equal(ok(target.get(f"/conversations/{name}/items/{last['id']}")).json(), last, "the item by its id")
    equal(ok(target.send("DELETE", f"/conversations/{name}/items/{last['id']}")).json()["id"], name, "the id")
    equal(texts(target, name), ["One.", "Two."], "the texts that are left")
    error(target.get(f"/conversations/{name}/items/{last['id']}"), 404)


@case("OpenAI")
def too_many_items(target: Target) -> None:
    """More than 20 items at once: 400 of `items`."""
    name = made(target).id
    for answer in (
        target.post("/conversations", {"items": [user("Hello.")] * 21}),
        target.post(f"/conversations/{name}/items", {"items": [user("Hello.")] * 21}),
    ):
        error(answer, 400, param="items")


@case("OpenAI", needs="chat")
def turns(target: Target) -> None:
    """A response in a conversation reads its items, and adds its own input and output."""
    name = made(target, items=[user("Hello.")]).id
    value = responded(target, conversation=name)
    equal(value.conversation and value.conversation.id, name, "conversation.id")
    equal(prompt_tokens(value), prompt_tokens(responded(target, [user("Hello."), user(QUESTION)])), "input_tokens")
    listed = ok(target.get(f"/conversations/{name}/items?order=asc")).json()["data"]
    equal([item["role"] for item in listed], ["user", "user", "assistant"], "the roles")
    equal(listed[-1]["id"], value.output[-1].id, "the id of the last item")
    responded(target, NEXT, conversation={"id": name})


@case("OpenAI", needs="chat")
def unknown(target: Target) -> None:
    """A conversation that never was: 404, in its own routes and in a response."""
    error(target.get(f"/conversations/{NOWHERE}"), 404)
    error(target.get(f"/conversations/{NOWHERE}/items"), 404)
    error(target.send("DELETE", f"/conversations/{NOWHERE}"), 404)
    error(respond(target, conversation=NOWHERE), (400, 404))


@case("OpenAI", needs="chat")
def not_with_previous(target: Target) -> None:
    """`conversation` and `previous_response_id` exclude each other: 400."""
    error(respond(target, conversation=made(target).id, previous_response_id=responded(target).id), 400)
