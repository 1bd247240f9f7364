"""Marks in a chat's texts, which show after the template has written the prompt what of it is a client's text.

No vLLM in it. How they are used is told in plain_text.py.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from server.engines.vllm.control_strings import ControlStrings
from server.engines.vllm.template import Look
from server.errors import InvalidRequest

PRIVATE = [chr(code) for code in range(0xE000, 0xF900)]
"""Characters that mean nothing to Unicode: two of them, which the request does not hold, are its marks."""

_TAKEN = re.compile(r"([\ue000-\uf8ff])|\\u([ef][0-9a-f]{3})", re.IGNORECASE)

REASONING = ("<think>", "</think>")

Each = Callable[..., str]
"""What is done with each text of a chat. edges: whether it may be written right beside other text, as content is and a
JSON Schema is not. said: whether an assistant said it: there templates look for reasoning."""


class Marks:
    """Two characters. A break stands within a control string of a client's text, or at an edge of the text where one
    could come together; a guard stands before a control string that the template must be able to find."""

    def __init__(self, control: ControlStrings, look: Look, breaking: str, guarding: str) -> None:
        self._control = control
        self._look = look
        self._break, self._guard = breaking, guarding
        self._either = re.compile(f"[{breaking}{guarding}]")
        # A template may write JSON in ASCII.
        self._escaped = re.compile(rf"\\u(?:({ord(breaking):x})|({ord(guarding):x}))", re.IGNORECASE)

    def mark(self, text: str, *, edges: bool = True, said: bool = False) -> str:
        marks: list[tuple[int, str]] = []
        for start, end in self._control.places(text):
            guarded = said and text[start:end] in self._look.seeks
            marks.append((start, self._guard) if guarded else (start + 1, self._break))
        if edges:
            marks += [(place, self._break) for place in self._control.edges(text)]
        for removed in self._look.removes:
            for found in re.finditer(re.escape(removed), text) if removed in text else ():
                marks += [(found.start(), self._break), (found.end(), self._break)]
        if not marks:
            return text
        # A guard must come last of what stands at its place, right before what it guards.
        marks.sort(key=lambda mark: (mark[0], mark[1] == self._guard))
        pieces, done = [], 0
        for place, mark in marks:
            pieces += [text[done:place], mark]
            done = place
        return "".join([*pieces, text[done:]])

    def read(self, prompt: str) -> tuple[str, list[int]]:
        """The prompt without its marks, and the places at which to cut it so that text stays text."""
        if "\\" in prompt:
            prompt = self._escaped.sub(lambda found: self._break if found[1] else self._guard, prompt)
        pieces: list[str] = []
        breaks: list[int] = []
        guards: set[int] = set()
        done = length = 0
        for found in self._either.finditer(prompt):
            pieces.append(prompt[done : found.start()])
            length += found.start() - done
            done = found.end()
            if found[0] == self._break:
                breaks.append(length)
            else:
                guards.add(length)
        text = "".join([*pieces, prompt[done:]])
        cuts: set[int] = set()
        for start, end in self._control.places(text):
            if start in guards:
                cuts.add(start + 1)
            # What the template wrote itself has no break within; those that keep nothing apart are dropped.
            for at in range(bisect_right(breaks, start), len(breaks)):
                if breaks[at] >= end:
                    break
                cuts.add(breaks[at])
        return text, sorted(cuts)


def choose(control: ControlStrings, body: dict[str, Any], look: Look) -> Marks | None:
    """Marks for a chat, or None for one whose texts hold nothing that could be read as a control token.

    body: of a chat request, in vLLM's words. look: of its template.
    """
    found = False

    def examine(text: str, *, edges: bool = True, said: bool = False) -> str:  # noqa: ARG001
        nonlocal found
        found = found or control.found(text) or (edges and bool(control.edges(text)))
        for removed in look.removes:
            found = found or (removed in text and control.found(text.replace(removed, "")))
        return text

    through(body, examine)
    if not found:
        return None
    taken = {*control.characters}

    def collect(text: str, **_: Any) -> str:
        taken.update(found[1] or chr(int(found[2], 16)) for found in _TAKEN.finditer(text))
        return text

    through(body, collect)
    free = (character for character in PRIVATE if character not in taken)
    breaking, guarding = next(free, None), next(free, None)
    if breaking is None or guarding is None:
        raise InvalidRequest("The messages use every private character of Unicode.", param="messages")
    return Marks(control, look, breaking, guarding)


def through(body: dict[str, Any], each: Each) -> dict[str, Any]:
    """A copy of a chat request's body with `each` of its client's texts done. Roles, types and pictures stay."""
    changed = dict(body)
    changed["messages"] = [_message(message, each) for message in body["messages"]]
    if body.get("tools"):
        changed["tools"] = [{**tool, "function": _function(tool["function"], each)} for tool in body["tools"]]
    if body.get("documents"):
        changed["documents"] = [_value(document, each, keys=False) for document in body["documents"]]
    if body.get("chat_template_kwargs"):
        changed["chat_template_kwargs"] = _value(body["chat_template_kwargs"], each, edges=False, keys=False)
    return changed


def _message(message: Mapping[str, Any], each: Each) -> dict[str, Any]:
    said = message["role"] == "assistant"
    done = dict(message)
    content = message.get("content")
    if isinstance(content, str):
        done["content"] = each(content, said=said)
    elif isinstance(content, list | tuple):
        done["content"] = [
            {**part, "text": each(part["text"], said=said)} if isinstance(part.get("text"), str) else part
            for part in content
        ]
    for name in ("reasoning", "tool_call_id", "name"):
        if isinstance(text := message.get(name), str):
            done[name] = each(text)
    if calls := message.get("tool_calls"):
        done["tool_calls"] = [_call(call, each) for call in calls]
    return done


def _call(call: Mapping[str, Any], each: Each) -> dict[str, Any]:
    function = dict(call["function"])
    function["name"] = each(function["name"])
    function["arguments"] = _arguments(function["arguments"], each)
    return {**call, "id": each(call["id"]), "function": function}


def _arguments(written: str, each: Each) -> str:
    """JSON, whose texts are what it means: `\\u003c` is read as `<`. What can't be read goes on as it is."""
    try:
        read = json.loads(written)
    except ValueError:
        return each(written)
    done = _value(read, each)
    return written if done == read else json.dumps(done, ensure_ascii=False)


def _function(function: Mapping[str, Any], each: Each) -> dict[str, Any]:
    done = {name: each(value) if isinstance(value, str) else value for name, value in function.items()}
    # Templates compare what a schema says with words of theirs, `object` say, which may be part of a control string.
    done["parameters"] = _value(function["parameters"], each, edges=False)
    return done


def _value(value: Any, each: Each, *, edges: bool = True, keys: bool = True) -> Any:
    """edges: whether a text's edges count. keys: whether those of keys do; a whole control string counts always."""
    if isinstance(value, str):
        return each(value, edges=edges)
    if isinstance(value, Mapping):
        return {
            each(key, edges=edges and keys) if isinstance(key, str) else key: _value(one, each, edges=edges, keys=keys)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_value(one, each, edges=edges, keys=keys) for one in value]
    return value


def reasoning_apart(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Qwen3's template and its kin do with an assistant's text that begins with its reasoning, done before them.

    They take `<think>` in text for the token, and write what they find there between tokens of their own.
    """
    return [_reasoning_apart(message) for message in messages]


def _reasoning_apart(message: dict[str, Any]) -> dict[str, Any]:
    begin, end = REASONING
    content = message.get("content")
    if message["role"] != "assistant" or not isinstance(content, str) or end not in content:
        return message
    if message.get("reasoning") is not None:
        return message
    reasoning = content.split(end)[0].rstrip("\n").split(begin)[-1].lstrip("\n")
    return {**message, "reasoning": reasoning, "content": content.split(end)[-1].lstrip("\n")}
