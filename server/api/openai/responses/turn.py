"""One request for a response: what it brings, what came before it, and where it is kept."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.api.openai.responses.items import Item, items_of, new_id
from server.api.openai.responses.layout import Layout, laid_out
from server.api.openai.responses.request import ResponsesRequest
from server.errors import InvalidRequest, NotFound, NotServedHere
from server.storage.units import to_its_end


@dataclass(frozen=True, slots=True)
class Before:
    """items: what came before a turn, oldest first. numbers: of the kept responses that they are from."""

    items: Sequence[Item] = ()
    numbers: Sequence[int] = ()


class Keeper(Protocol):
    """What remembers responses and conversations, and the items in them."""

    async def history(self, account_id: str, previous_id: str | None, conversation_id: str | None) -> Before:
        """What was said up to a response, or in a conversation. Raises InvalidRequest, NotFound."""
        ...

    async def items(self, account_id: str, names: Collection[str]) -> Mapping[str, Item]:
        """Items of earlier responses and of conversations, by their ids. Those that are not known are left out, and so
        are another account's. Raises InvalidRequest where they are too much for one request."""
        ...

    async def keep(self, turn: "Turn", response: Mapping[str, Any]) -> None:
        """Write down a response that has ended, and the turn's items. Raises StorageFull, DatabaseUnavailable."""
        ...

    def sealed(self, account_id: str, text: str) -> str:
        """A text that only `opened` can read, for the client to keep."""
        ...

    def opened(self, account_id: str, sealed: str, param: str) -> str:
        """The text. Raises InvalidRequest for what this server has not sealed for this account."""
        ...


@dataclass(slots=True, kw_only=True)
class Turn:
    """own: the request's input items, each with an id. before: what was said before them. keeper: None where nothing
    is kept."""

    account_id: str
    body: ResponsesRequest
    own: list[Item]
    before: Before = Before()
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
        return laid_out(self.body.instructions, self.before.items, self.own)

    async def keep(self, response: Mapping[str, Any]) -> None:
        """Unless whoever works on it in the background does that."""
        if self.keeper is not None and self.body.store and not self.body.background:
            await to_its_end(self.keeper.keep(self, response))  # also for a client that hangs up at the last moment

    async def _remember(self) -> None:
        previous, conversation = self.body.previous_response_id, self.body.conversation_id
        if previous is not None or conversation is not None:
            if self.keeper is None:
                raise NotServedHere("This server keeps no responses.")
            self.before = await self.keeper.history(self.account_id, previous, conversation)
        there = {item["id"] for item in self.before.items}  # what is said already is not said again
        referred = [item["id"] for item in self.own if item["type"] == "item_reference" and item["id"] not in there]
        known = await self._known(referred)
        own: list[Item] = []
        for place, item in enumerate(self.own):
            if item["type"] != "item_reference":
                own.append(opened(item, f"input[{place}]", self._open))
            elif item["id"] not in there:
                own.append(known[item["id"]])
        self.own = own

    async def _known(self, names: Sequence[str]) -> Mapping[str, Item]:
        """Items by their ids. Raises NotFound for one that is not known, InvalidRequest for one that is named twice: a
        short request could ask for any length."""
        seen: set[str] = set()
        for named in names:
            if named in seen:
                raise InvalidRequest(f"Item with id '{named[:64]}' is referred to twice.", param="input")
            seen.add(named)
        known = {} if self.keeper is None or not names else await self.keeper.items(self.account_id, names)
        for named in names:
            if named not in known:
                raise NotFound(f"Item with id '{named[:64]}' not found.", param="input")
        return known

    def _open(self, sealed: str, param: str) -> str:
        if self.keeper is None:
            raise InvalidRequest(f"'{param}' can't be read here: this server keeps no secret.", param=param)
        return self.keeper.opened(self.account_id, sealed, param)


def opened(item: Item, where: str, open_text: Callable[[str, str], str]) -> Item:
    """With the reasoning that the client has kept for this server. open_text: of what was sealed, and its param.

    Raises InvalidRequest.
    """
    sealed = item.get("encrypted_content")
    if sealed is None or item.get("content"):
        return item
    text = open_text(sealed, f"{where}.encrypted_content")
    return {**item, "content": [{"type": "reasoning_text", "text": text}]}
