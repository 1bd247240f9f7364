"""The sounds in a chat's messages: where they are, and how text takes their place."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sound:
    """One `input_audio` part: `place` in the content of message number `message`, both from 0.

    encoded: the file in base64. format: what the client calls it, which nothing relies on.
    """

    message: int
    place: int
    encoded: str
    format: str

    @property
    def data(self) -> bytes:
        return b64decode(self.encoded)

    @property
    def param(self) -> str:
        """Its name in an error: `messages[0].content[1]`."""
        return f"messages[{self.message}].content[{self.place}]"


def sounds_of(messages: Sequence[Message]) -> list[Sound]:
    """In the order of the messages. Their parts have been checked by the dialect."""
    found = []
    for number, message in enumerate(messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list | tuple) else ()):
            if isinstance(part, Mapping) and part.get("type") == "input_audio":
                sound = part["input_audio"]
                found.append(Sound(number, place, sound["data"], sound["format"]))
    return found


def with_parts(messages: Sequence[Message], parts: Mapping[tuple[int, int], Message]) -> tuple[Message, ...]:
    """The messages with other parts in place of those at (message, place).

    Content that is then text alone becomes one string, its parts on lines of their own, as it would have come.
    """
    changed = list(messages)
    for number in {number for number, _ in parts}:
        message = messages[number]
        content = [parts.get((number, place), part) for place, part in enumerate(message["content"])]
        text = all(part.get("type") == "text" for part in content)
        changed[number] = {**message, "content": "\n".join(part["text"] for part in content) if text else content}
    return tuple(changed)
