"""What a turn remembers by: the account's kept responses and conversations, read within the room that bodies have."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from server.api.body_room import BodyRoom
from server.api.openai.responses.items import Item
from server.api.openai.responses.turn import Before, Turn
from server.api.services import Services, services_of
from server.errors import InvalidRequest, Unavailable
from server.jobs.responses import records
from server.jobs.responses.responses import Responses


class ResponseKeeper:
    """bodies: room that is shared with requests' bodies. What was said before may be as long as one."""

    def __init__(self, responses: Responses, bodies: BodyRoom) -> None:
        self.responses = responses
        self._bodies = bodies

    async def history(self, account_id: str, previous_id: str | None, conversation_id: str | None) -> Before:
        room = partial(self._bodies.holding, account_id)
        if previous_id is not None:
            history = await self.responses.chain.history(account_id, previous_id, room)
            return Before(cast(Sequence[Item], history.items), history.numbers)
        assert conversation_id is not None
        said = await self.responses.conversations.history(account_id, conversation_id, room=room)
        return Before(cast(Sequence[Item], said))

    async def referred(self, account_id: str, ids: Sequence[str]) -> Mapping[str, Item]:
        room = partial(self._bodies.holding, account_id)
        return cast(Mapping[str, Item], await self.responses.references.find(account_id, ids, room))

    async def keep(self, turn: Turn, response: Mapping[str, Any]) -> None:
        await self.responses.store.keep(record_of_turn(turn, response), turn.before.numbers)

    def sealed(self, account_id: str, text: str) -> str:
        return self.responses.sealing.seal_text(account_id, text)

    def opened(self, account_id: str, sealed: str, param: str) -> str:
        return self.responses.sealing.open_text(account_id, sealed, param)


def record_of_turn(turn: Turn, response: Mapping[str, Any]) -> records.Turn:
    """As it is written down."""
    body = turn.body
    return records.Turn(
        account_id=turn.account_id,
        response=response,
        items=turn.own,
        previous_id=body.previous_response_id,
        conversation_id=body.conversation_id,
        background=body.background,
        streamed=body.background and body.stream,
    )


def keeper_of(services: Services) -> ResponseKeeper | None:
    """None on a server that was put together without a database."""
    return None if services.responses is None else ResponseKeeper(services.responses, services.bodies)


async def get_responses(connection: HTTPConnection) -> Responses:
    """Raises Unavailable on a server that was put together without a database."""
    responses = services_of(connection).responses
    if responses is None:
        raise Unavailable("This server keeps no responses.")
    return responses


ResponsesDep = Annotated[Responses, Depends(get_responses)]


def plain_items(items: Sequence[Item], where: str) -> Sequence[Item]:
    """Items for a conversation, which refer to none elsewhere. Raises InvalidRequest."""
    for place, item in enumerate(items):
        if item["type"] == "item_reference":
            raise InvalidRequest(
                "Items are added to a conversation whole: send what the reference means.",
                param=f"{where}[{place}].type",
                code="unsupported_value",
            )
    return items
