"""/responses/{id}: kept responses, read again, streamed again, cancelled and deleted."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from server.api.answers.conversations import ItemList, ResponseDeleted
from server.api.answers.responses import EVENTS, ResponseResource
from server.api.deps import CallerDep
from server.api.openai.responses.keeping import ResponsesDep
from server.api.openapi import documented
from server.api.rows import answer, listing
from server.api.sse import SseResponse
from server.errors import InvalidRequest
from server.jobs.responses.records import Kept, Page
from server.jobs.responses.responses import Responses

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]
MOST_NUMBER = 2**31 - 1


@router.get("/responses/{response_id}")
@documented(answer=ResponseResource, events=EVENTS, missing=True)
async def retrieve(
    response_id: str,
    request: Request,
    caller: CallerDep,
    responses: ResponsesDep,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0, le=MOST_NUMBER)] = None,
) -> Response:
    """A kept response, whole or as the events of its stream.

    stream: of one that was asked for with `background` and `stream`; its events are those that its own stream had, and
    follow until it is done. starting_after: the `sequence_number` of the last event that is known already.
    """
    kept = await responses.store.find(caller.account_id, response_id)
    if not stream or request.method == "HEAD":
        return answer(kept.response)
    if not kept.streamed:
        raise InvalidRequest(
            "Only a response that was created with 'background' and 'stream' can be streamed again.", param="stream"
        )
    return followed(responses, kept, -1 if starting_after is None else starting_after)


class Following:
    """A stream of kept events. There is no run: it may be another process's, or over."""

    def __init__(self, kept: Kept) -> None:
        self.progress = f"response {kept.status}"
        self.headers: dict[str, str] = {}


def followed(responses: Responses, kept: Kept, after: int) -> SseResponse[Following]:
    """The events of a response after one, -1 for all of them. Whoever hangs up ends nothing but this."""

    @asynccontextmanager
    async def opening() -> AsyncGenerator[Following, None]:
        yield Following(kept)

    async def frames(_: Following) -> AsyncGenerator[bytes, None]:
        async for event in responses.background.follow(kept, after):
            yield event.frame()

    return SseResponse(opening(), frames, gathered=True)


@router.delete("/responses/{response_id}")
@documented(answer=ResponseDeleted, missing=True)
async def delete(response_id: str, caller: CallerDep, responses: ResponsesDep) -> Response:
    """Delete a kept response; one that is worked on is ended. What goes on from it can't be gone on from any more."""
    await responses.store.delete(caller.account_id, response_id)
    responses.background.forget(response_id)
    return answer({"id": response_id, "object": "response", "deleted": True})


@router.post("/responses/{response_id}/cancel")
@documented(answer=ResponseResource, missing=True)
async def cancel(response_id: str, caller: CallerDep, responses: ResponsesDep) -> Response:
    """End a background response: what was made until then is kept, and paid. One that is done stays as it is."""
    kept = await responses.store.find(caller.account_id, response_id)
    if not kept.background:
        raise InvalidRequest("Cannot cancel a synchronous response: it was not created with 'background'.")
    return answer((await responses.background.cancel(caller.account_id, response_id)).response)


@router.get("/responses/{response_id}/input_items")
@documented(answer=ItemList, missing=True)
async def list_input_items(
    response_id: str,
    caller: CallerDep,
    responses: ResponsesDep,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> Response:
    """The input items of a response's own request, without what was said before it.

    after: the id of the last item seen, for the next page. Whatever `include` asks for is there.
    """
    page = await responses.store.input_items(
        caller.account_id, response_id, after=after, limit=limit, ascending=order == "asc"
    )
    return item_list(page)


def item_list(page: Page) -> Response:
    items: list[Any] = list(page.items)
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return listing(items, first_id=first, last_id=last, has_more=page.more)
