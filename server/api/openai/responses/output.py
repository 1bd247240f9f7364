"""A run's events as output items: the one account of an answer from which its object and its stream are made."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from server.api.openai.responses.items import new_id
from server.api.openai.token_response import tokens_of
from server.core import Event, Finish, FinishReason, ReasoningDelta, TextDelta, TokenLogprob, ToolCallDelta
from server.errors import InternalError

Status = Literal["in_progress", "completed", "incomplete"]


@dataclass(slots=True)
class Growing(ABC):
    """An output item. index: its place in the output. pieces: its text so far, or the arguments of its call."""

    prefix: ClassVar[str]

    index: int
    id: str = ""
    status: Status = "in_progress"
    pieces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = new_id(self.prefix)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """As it stands."""

    @abstractmethod
    def as_begun(self) -> dict[str, Any]:
        """As it was before its first piece."""


@dataclass(slots=True)
class Reasoning(Growing):
    """sealed: the text as the client keeps it, where it asked for that."""

    prefix: ClassVar[str] = "rs"

    sealed: str | None = None

    def part(self) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": self.text}

    def as_json(self) -> dict[str, Any]:
        item = {**self.as_begun(), "status": self.status, "content": [self.part()]}
        return item if self.sealed is None else {**item, "encrypted_content": self.sealed}

    def as_begun(self) -> dict[str, Any]:
        return {"type": "reasoning", "id": self.id, "status": "in_progress", "summary": [], "content": []}


@dataclass(slots=True)
class Message(Growing):
    prefix: ClassVar[str] = "msg"

    logprobs: list[TokenLogprob] = field(default_factory=list)

    def part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": tokens_of(self.logprobs)}

    def as_json(self) -> dict[str, Any]:
        return {**self.as_begun(), "status": self.status, "content": [self.part()]}

    def as_begun(self) -> dict[str, Any]:
        return {"type": "message", "id": self.id, "status": "in_progress", "role": "assistant", "content": []}


@dataclass(slots=True)
class Call(Growing):
    prefix: ClassVar[str] = "fc"

    call_id: str = ""
    name: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**self.as_begun(), "status": self.status, "arguments": self.text}

    def as_begun(self) -> dict[str, Any]:
        return {
            "type": "function_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": "",
            "status": "in_progress",
        }


OutputItem = Reasoning | Message | Call


@dataclass(frozen=True, slots=True)
class Added:
    item: OutputItem


@dataclass(frozen=True, slots=True)
class Grown:
    """logprobs: of the piece's tokens."""

    item: OutputItem
    piece: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    item: OutputItem


Change = Added | Grown | Done
NOTHING: list[Change] = []


class Output:
    """Items in their order; one is open at a time.

    White space before a call, or before nothing, is no message: it waits until a word follows. An answer without any
    word is an empty message.

    seal: writes reasoning as the client may keep it; None where it does not want to.
    """

    def __init__(self, seal: Callable[[str], str] | None = None) -> None:
        self._seal = seal
        self.items: list[OutputItem] = []
        self.reason: FinishReason = "stop"
        self._open: OutputItem | None = None
        self._calls: dict[int, Call] = {}
        self._blank: list[TextDelta] = []

    def add(self, event: Event) -> list[Change]:
        """What an event of the run changes."""
        match event:
            case TextDelta():
                return self._add_text(event)
            case ReasoningDelta():
                if isinstance(self._open, Reasoning):
                    return [self._grow(self._open, event.text)]
                item = Reasoning(len(self.items))
                return [*self._begin(item), self._grow(item, event.text)]
            case ToolCallDelta():
                return self._add_call(event)
            case Finish():
                self.reason = event.reason
        return NOTHING

    def end(self) -> list[Change]:
        """The answer is whole, or cut off by its limit."""
        changes: list[Change] = []
        cut = self.reason == "length" and bool(self.items)
        if not cut and not any(isinstance(item, Message | Call) for item in self.items):
            message = Message(len(self.items))
            changes += self._begin(message)
            changes += [self._grow(message, blank.text, blank.logprobs) for blank in self._blank]
        return changes + self._close("completed" if self.complete else "incomplete")

    @property
    def complete(self) -> bool:
        return self.reason not in ("length", "content_filter")

    def as_json(self) -> list[dict[str, Any]]:
        return [item.as_json() for item in self.items]

    def _add_text(self, event: TextDelta) -> list[Change]:
        message = self._open
        if isinstance(message, Message):
            return [self._grow(message, event.text, event.logprobs)] if event.text or event.logprobs else NOTHING
        self._blank.append(event)
        if not event.text.strip():
            return NOTHING
        message = Message(len(self.items))
        changes = self._begin(message)
        changes += [self._grow(message, blank.text, blank.logprobs) for blank in self._blank]
        self._blank.clear()
        return changes

    def _add_call(self, event: ToolCallDelta) -> list[Change]:
        changes: list[Change] = []
        if event.name is not None:
            call = Call(len(self.items), call_id=event.id or new_id("call"), name=event.name)
            self._calls[event.call] = call
            self._blank.clear()
            changes = self._begin(call)
        else:
            call = self._calls[event.call]
        if event.arguments:
            if call is not self._open:
                raise InternalError  # no engine goes on with a call after it has begun something else
            changes.append(self._grow(call, event.arguments))
        return changes

    def _begin(self, item: OutputItem) -> list[Change]:
        changes = self._close("completed")
        self.items.append(item)
        self._open = item
        return [*changes, Added(item)]

    def _close(self, status: Status) -> list[Change]:
        item, self._open = self._open, None
        if item is None:
            return []
        item.status = status
        if self._seal is not None and isinstance(item, Reasoning):
            item.sealed = self._seal(item.text)
        return [Done(item)]

    @staticmethod
    def _grow(item: OutputItem, piece: str, logprobs: tuple[TokenLogprob, ...] | None = None) -> Grown:
        item.pieces.append(piece)
        if logprobs and isinstance(item, Message):
            item.logprobs += logprobs
        return Grown(item, piece, logprobs or ())
