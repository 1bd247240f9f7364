"""Kept responses. What `store`, `previous_response_id` and `background` promise."""

from typing import Any

from openai.types.responses import Response

from tests.conformance.asks import QUESTION, user
from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.response_asks import (
    calls,
    finished,
    flat_tool,
    numbered,
    prompt_tokens,
    read_event,
    respond,
    responded,
    said,
)
from tests.conformance.target import Target

NEXT = "And of Peru?"
NAMED = {"type": "function", "name": "describe"}


@case("OpenAI", needs="chat")
def retrieved(target: Target) -> None:
    """GET gives the response as it was answered; `store` is true where nothing else is said."""
    body = ok(respond(target, metadata={"a": "b"})).json()
    equal(ok(target.get(f"/responses/{body['id']}")).json(), body, "the response that was kept")


@case("OpenAI", needs="chat")
def not_stored(target: Target) -> None:
    """`store: false` keeps nothing: GET is 404, and so is the next turn, or 400."""
    value = responded(target, store=False)
    error(target.get(f"/responses/{value.id}"), 404)
    error(respond(target, NEXT, previous_response_id=value.id), (400, 404))


@case("OpenAI", needs="chat")
def deleted(target: Target) -> None:
    """DELETE says so, once; then it is gone."""
    name = responded(target).id
    body = ok(target.send("DELETE", f"/responses/{name}")).json()
    equal((body.get("id"), body.get("deleted")), (name, True), "id and deleted")
    error(target.send("DELETE", f"/responses/{name}"), 404)
    error(target.get(f"/responses/{name}/input_items"), 404)


@case("OpenAI")
def unknown(target: Target) -> None:
    """A response that never was: 404 in the envelope for each method."""
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        error(target.send(method, f"/responses/resp_0000000000000000000000000000000000000000000000{path}"), 404)


@case("OpenAI", needs="chat")
def input_items(target: Target) -> None:
    """`input_items` lists what was sent, newest first, each with an id, in pages by `after` and `limit`."""
    name = responded(target, [user("Hello."), user(QUESTION)]).id
    page = ok(target.get(f"/responses/{name}/input_items?limit=1")).json()
    equal((page["object"], page["has_more"], len(page["data"])), ("list", True, 1), "object, has_more and the count")
    equal(page["data"][0]["content"][0]["text"], QUESTION, "the first text")
    equal((page["first_id"], page["last_id"]), (page["data"][0]["id"],) * 2, "first_id and last_id")
    rest = ok(target.get(f"/responses/{name}/input_items?after={page['last_id']}")).json()
    equal([item["content"][0]["text"] for item in rest["data"]], ["Hello."], "the rest")
    turned = ok(target.get(f"/responses/{name}/input_items?order=asc")).json()
    equal([item["content"][0]["text"] for item in turned["data"]], ["Hello.", QUESTION], "in the order asc")
    error(target.get(f"/responses/{name}/input_items?limit=0"), 400, param="limit")


@case("OpenAI", needs="chat")
def next_turn(target: Target) -> None:
    """`previous_response_id` puts what was said before in front, as if it had been sent."""
    first = ok(respond(target)).json()
    value = responded(target, NEXT, previous_response_id=first["id"])
    sent = responded(target, [user(QUESTION), *first["output"], user(NEXT)])
    equal(prompt_tokens(value), prompt_tokens(sent), "input_tokens")
    equal(said(value), said(sent), "the text")
    equal(value.previous_response_id, first["id"], "previous_response_id")


@case("OpenAI", needs="chat")
def without_instructions(target: Target) -> None:
    """The instructions of an earlier turn are not carried over."""
    long = responded(target, instructions="Answer in German, and only in German, whatever you are asked. " * 4)
    plain = responded(target)
    counts = [prompt_tokens(responded(target, NEXT, previous_response_id=one.id)) for one in (long, plain)]
    that(abs(counts[0] - counts[1]) < 20, f"input_tokens of the next turns are {counts}")


@case("OpenAI", needs="chat")
def branches(target: Target) -> None:
    """Two turns may follow one response."""
    first = responded(target)
    for question in (NEXT, "And of Chile?"):
        equal(responded(target, question, previous_response_id=first.id).previous_response_id, first.id, "the parent")


@case("OpenAI", needs="chat")
def call_and_result(target: Target) -> None:
    """The result of a call may follow the response that made it."""
    first = responded(target, tools=[flat_tool()], tool_choice=NAMED, max_output_tokens=60)
    (made,) = calls(first)
    result = {"type": "function_call_output", "call_id": made.call_id, "output": "Tokyo is large."}
    responded(target, [result], previous_response_id=first.id, tools=[flat_tool()])


@case("OpenAI", needs="chat")
def unknown_previous(target: Target) -> None:
    """An unknown `previous_response_id`: 400 or 404 of that param."""
    found = respond(target, previous_response_id="resp_0000000000000000000000000000000000000000000000")
    error(found, (400, 404), param="previous_response_id", code="previous_response_not_found")


@case("OpenAI", needs="chat")
def reference(target: Target) -> None:
    """An `item_reference` to an item that is kept is read as the item."""
    first = ok(respond(target)).json()
    items: list[Any] = [user(QUESTION), {"type": "item_reference", "id": first["output"][-1]["id"]}, user(NEXT)]
    sent = responded(target, [user(QUESTION), *first["output"], user(NEXT)])
    equal(prompt_tokens(responded(target, items)), prompt_tokens(sent), "input_tokens")


@case("OpenAI", needs="chat")
def background(target: Target) -> None:
    """`background` answers at once, queued or in progress; GET has the answer once it is there."""
    begun = responded(target, background=True)
    that(begun.status in ("queued", "in_progress"), f"status is {begun.status}")
    equal((begun.background, begun.output, begun.usage), (True, [], None), "background, output and usage")
    target.strict(Response, ok(target.get(f"/responses/{begun.id}")).raw)
    equal(finished(target, begun.id)["output"][-1]["content"][0]["text"], said(responded(target)), "the text")


@case("OpenAI", needs="chat")
def background_without_store(target: Target) -> None:
    """`background` with `store: false`: 400 of one of them."""
    found = error(respond(target, background=True, store=False), 400)
    that(found.param in ("background", "store"), f"the error's param is {found.param}")


@case("OpenAI", needs="chat")
def taken_up_again(target: Target) -> None:
    """A stream from the background is read again from any event, whole or after its end."""
    events = ok(respond(target, background=True, stream=True)).events()
    that(len(numbered(events)) > 5, "few events")
    name = read_event(target, events[0]).response.id
    for after in (0, 4, len(events) - 2):
        again = ok(target.get(f"/responses/{name}?stream=true&starting_after={after}")).events()
        equal(list(numbered(again, after + 1)), events[after + 1 :], f"the events after {after}")
    equal(ok(target.get(f"/responses/{name}?stream=true")).events(), events, "all events")


@case("OpenAI", needs="chat")
def cancelled(target: Target) -> None:
    """What is in the background is cancelled, once for all; what is not in the background is not: 400."""
    begun = responded(target, "Tell me a story.", background=True, max_output_tokens=1000)
    found = ok(target.post(f"/responses/{begun.id}/cancel", {})).json()
    that(found["status"] in ("cancelled", "completed", "incomplete"), f"status is {found['status']}")
    equal(ok(target.post(f"/responses/{begun.id}/cancel", {})).json()["status"], found["status"], "status of the next")
    error(target.post(f"/responses/{responded(target).id}/cancel", {}), 400)
