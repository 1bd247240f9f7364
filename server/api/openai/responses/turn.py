"""One request for a response: what it brings, what came before it, and where it is kept."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.api.openai.responses.items import Item, items_of, new_id
from server.api.openai.responses.layout import Layout, laid_out
from server.api.openai.responses.request import ResponsesRequest
from server.errors import InvalidRequest, NotFound


class Keeper(Protocol):
    """What remembers responses and conversations, and the items in them."""

    async def history(self, account_id: str, previous_id: str | None, conversation_id: str | None) -> Sequence[Item]:
        """The items before this turn, oldest first. Raises InvalidRequest, NotFound."""
        ...

    async def item(self, account_id: str, item_id: str) -> Item | None:
        """An item of an earlier response or of a conversation; None if it is not known, or another account's."""
        ...

    async def keep(self, turn: "Turn", response: Mapping[str, Any]) -> None:
        """Write down a response that has ended, and the turn's items. Raises StorageFull, DatabaseUnavailable."""
        ...

    def sealed(self, account_id: str, text: str) -> str:
        """A text that only `opened` can read, for the client to keep."""
        ...

    def opened(self, account_id: str, sealed: str) -> str | None:
        """The text; None for what this server has not sealed for this account."""
        ...


@dataclass(slots=True, kw_only=True)
class Turn:
    """own: the request's input items, each with an id. history: what came before them, oldest first. keeper: None
    where nothing is kept."""

    account_id: str
    body: ResponsesRequest
    own: list[Item]
    history: Sequence[Item] = ()
    keeper: Keeper | None = None
    id: str = field(default_factory=lambda: new_id("resp"))
    created_at: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    async def of(cls, account_id: str, body: ResponsesRequest, keeper: Keeper | None) -> "Turn":
        """Raises InvalidRequest, and NotFound for what the request refers to and nobody knows."""
        body.check()
        turn = cls(account_id=account_id, body=body, own=items_of(body.input), keeper=keeper)
        await turn._remember()
        return turn

    @property
    def stored(self) -> bool:
        """Whether the response is kept once it has ended."""
        return self.keeper is not None and self.body.store

    def layout(self) -> Layout:
        """The conversation as engines take it. Raises InvalidRequest."""
        return laid_out(self.body.instructions, self.history, self.own)

    async def keep(self, response: Mapping[str, Any]) -> None:
        if self.keeper is not None and self.body.store:
            await self.keeper.keep(self, response)

    async def _remember(self) -> None:
        body = self.body
        if self.keeper is not None and (body.previous_response_id or body.conversation_id):
            self.history = await self.keeper.history(self.account_id, body.previous_response_id, body.conversation_id)
        there = {item["id"]: item for item in self.history}
        own: list[Item] = []
        for place, item in enumerate(self.own):
            if item["type"] == "item_reference":
                if item["id"] in there:  # it is in the conversation already
                    continue
                own.append(await self._referred(item["id"]))
            else:
                own.append(self._opened(item, f"input[{place}]"))
        self.own = own

    async def _referred(self, item_id: str) -> Item:
        item = None if self.keeper is None else await self.keeper.item(self.account_id, item_id)
        if item is None:
            raise NotFound(f"Item with id '{item_id[:64]}' not found.", param="input")
        return item

    def _opened(self, item: Item, where: str) -> Item:
        """With the reasoning that the client has kept for this server."""
        sealed = item.get("encrypted_content")
        if sealed is None or item.get("content"):
            return item
        text = None if self.keeper is None else self.keeper.opened(self.account_id, sealed)
        if text is None:
            raise InvalidRequest(
                "The encrypted content of this reasoning item could not be read: it is of another server or account.",
                param=f"{where}.encrypted_content",
                code="invalid_encrypted_content",
            )
        return {**item, "content": [{"type": "reasoning_text", "text": text}]}
