"""`truncation: auto`: which messages of a conversation may be left out, the oldest first. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def droppable(messages: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Numbers of messages in groups, each of which goes as a whole, in the order in which they go.

    messages: as engines take them. A group is a turn: what a user says and all that follows on it; within the last
    turn, a round of calls and their results. What is said as the system stays, and so does what is to be answered: the
    last that a user says, and the last round. So no result ever stands without its call.

    Example: of `system, user, assistant, user, assistant (calls), tool, assistant (calls), tool` the groups are
    `[1, 2]` and `[4, 5]`.
    """
    last = max((place for place in range(len(messages)) if _speaks(messages, place)), default=-1)
    groups: list[list[int]] = []
    for place, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if not groups or _begins(messages, place, last):
            groups.append([])
        groups[-1].append(place)
    groups = _whole(groups, messages)
    return [group for group in groups[:-1] if last not in group]


def _begins(messages: Sequence[Mapping[str, Any]], place: int, last: int) -> bool:
    """Whether a group begins with the message. last: the number of the user's last."""
    if place <= last:
        return _speaks(messages, place)
    return place == last + 1 or (messages[place]["role"] == "assistant" and messages[place - 1]["role"] != "assistant")


def _speaks(messages: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Whether it is the user who speaks. Pictures alone after a call's result are what the call has found."""
    message = messages[place]
    if message["role"] != "user":
        return False
    content = message["content"]
    found = not isinstance(content, str) and all(part["type"] != "text" for part in content)
    return not (found and place > 0 and messages[place - 1]["role"] == "tool")


def _whole(groups: list[list[int]], messages: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Joined where a result comes in a later group than its call."""
    joined: list[list[int]] = []
    called: dict[str, int] = {}  # the numbers of the messages with the calls
    for group in groups:
        joined.append(list(group))
        for place in group:
            message = messages[place]
            if message["role"] == "tool" and (of := called.get(message["tool_call_id"])) is not None:
                while joined[-1][0] > of:
                    later = joined.pop()
                    joined[-1] += later
            for call in message.get("tool_calls") or ():
                called[call["id"]] = place
    return joined
