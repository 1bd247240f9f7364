"""From items to the messages of a chat, so that both APIs are read by the same rules from there on.

A model's turn is one message: its reasoning, its words and its calls are items of their own in this API.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from server.api.openai.chat_messages import MOST_MESSAGES, Message, engine_messages
from server.api.openai.responses.items import Item
from server.errors import InvalidRequest, SageholdError

MESSAGE = re.compile(r"messages(?:\[(\d+)\](.*))?", re.DOTALL)
"""How engines, and the chat's own rules, name a message or a part of one."""

FIELDS = {"max_tokens": "max_output_tokens", "reasoning_effort": "reasoning.effort"}


@dataclass(slots=True)
class Layout:
    """Messages as engines take them, and the places of the request that they come from, `input[2]` say."""

    messages: Sequence[Mapping[str, Any]] = ()
    places: list[str] = field(default_factory=list)

    def renamed(self, error: SageholdError) -> SageholdError:
        """The error with its param in the words of this API: `messages[1].content[0].image_url.url` is
        `input[0].content[0].image_url`, and `messages[1].content[0].file.file_id` is `input[0].content[0].file_id`."""
        if error.param is not None:
            error.param = self._param(error.param)
        return error

    @contextmanager
    def renaming(self) -> Iterator[None]:
        """What is refused in the block is renamed."""
        try:
            yield
        except SageholdError as error:
            raise self.renamed(error) from None

    def _param(self, param: str) -> str:
        found = MESSAGE.fullmatch(param)
        if found is None:
            return FIELDS.get(param, param)
        number, rest = found.groups()
        if number is None or int(number) >= len(self.places):
            return "input"
        place = self.places[int(number)]
        if not place.startswith("input[") or rest.startswith(".tool_calls"):
            return place
        if self.messages and self.messages[int(number)].get("role") == "tool":
            rest = rest.replace(".content", ".output", 1)
        return place + rest.replace(".image_url.url", ".image_url").replace(".file.", ".")


def laid_out(instructions: str | None, history: Iterable[Item], own: Iterable[Item]) -> Layout:
    """Raises InvalidRequest."""
    writer = _Writer()
    if instructions:
        writer.say("system", instructions, "instructions")
    for item in history:
        writer.add(item, "input")
    for place, item in enumerate(own):
        writer.add(item, f"input[{place}]")
    writer.end_turn()
    if len(writer.messages) > MOST_MESSAGES:
        raise InvalidRequest(
            f"The conversation has {len(writer.messages)} messages; the limit is {MOST_MESSAGES}.", param="input"
        )
    layout = Layout(places=writer.places)
    with layout.renaming():
        layout.messages = engine_messages(writer.messages)
    return layout


class _Writer:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.places: list[str] = []
        self._turn: dict[str, Any] | None = None
        self._turn_place = ""
        self._called: set[str] = set()

    def add(self, item: Item, place: str) -> None:
        match item["type"]:
            case "message" if item["role"] == "assistant":
                self._in_turn(place, after=("content", "tool_calls"))["content"] = _parts(item["content"])
            case "message":
                self.say(item["role"], _parts(item["content"]), place)
            case "reasoning":
                self._reason(item, place)
            case "function_call":
                self._called.add(item["call_id"])
                function = {"name": item["name"], "arguments": item["arguments"]}
                call = {"id": item["call_id"], "type": "function", "function": function}
                self._in_turn(place).setdefault("tool_calls", []).append(call)
            case "function_call_output":
                self._answer(item, place)

    def say(self, role: str, content: Any, place: str) -> None:
        self.end_turn()
        # Templates want what is said to the model before the conversation in one message.
        if role in ("system", "developer") and len(self.messages) == 1 and self.messages[0].role == "system":
            first = self.messages[0]
            if isinstance(first.content, str) and (more := _only_text(content)) is not None:
                first.content = f"{first.content}\n\n{more}"
                return
        self._write({"role": "system" if role == "developer" else role, "content": content}, place)

    def end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and ("content" in turn or "tool_calls" in turn):  # not of thoughts alone
            self._write(turn, self._turn_place)

    def _reason(self, item: Item, place: str) -> None:
        text = "".join(part["text"] for part in item.get("content") or ())
        if text:
            turn = self._in_turn(place, after=("content", "tool_calls"))
            turn["reasoning"] = turn.get("reasoning", "") + text

    def _answer(self, item: Item, place: str) -> None:
        if item["call_id"] not in self._called:
            raise InvalidRequest(
                f"No tool call found for function call output with call_id {item['call_id']}.", param="input"
            )
        self.end_turn()
        output = item["output"]
        content = output if isinstance(output, str) else _parts(output)
        self._write({"role": "tool", "tool_call_id": item["call_id"], "content": content}, place)

    def _in_turn(self, place: str, after: Sequence[str] = ()) -> dict[str, Any]:
        """The model's turn that is being written. after: what may not be in it yet."""
        if self._turn is not None and any(name in self._turn for name in after):
            self.end_turn()
        if self._turn is None:
            self._turn, self._turn_place = {"role": "assistant"}, place
        return self._turn

    def _write(self, message: Mapping[str, Any], place: str) -> None:
        self.messages.append(Message.model_construct(**message))
        self.places.append(place)


def _parts(parts: Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """Content as chats have it: a text alone is no list of parts."""
    if len(parts) == 1 and parts[0]["type"] in TEXTS:
        text: str = parts[0]["text"]
        return text
    return [_part(part) for part in parts]


TEXTS = ("input_text", "output_text", "text")


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A content part as chats have it. What comes from a file is a `file` part there."""
    match part["type"]:
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": part["text"]}
        case "input_image" if "image_url" in part:
            return {"type": "image_url", "image_url": {"url": part["image_url"]}}
        case "input_image":
            return {"type": "file", "file": {"file_id": part["file_id"]}}
        case "input_file":
            return {"type": "file", "file": {name: part[name] for name in part if name != "type"}}
        case _:
            return dict(part)


def _only_text(content: str | list[dict[str, Any]]) -> str | None:
    if isinstance(content, str):
        return content
    if all(part["type"] == "text" for part in content):
        return "\n".join(part["text"] for part in content)
    return None
