"""Input items: what a client sends becomes items as the API lists them, each with an id.

Shapes: the OpenAI API's input items, of the types message, function_call, function_call_output, reasoning and
item_reference. A message needs no type, and a reference none beside its id.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.api.openai.chat_messages import MOST_MESSAGES
from server.errors import InvalidRequest
from server.storage.named import storable

Item = dict[str, Any]

ROLES = ("user", "system", "developer", "assistant")
STATUSES = ("in_progress", "completed", "incomplete")
PHASES = ("commentary", "final_answer")
LONGEST_ID = 64
"""Characters of an item's id, and of a call's, as the OpenAI API has it."""


def new_id(kind: str) -> str:
    """`msg_` and the like, and 48 hexadecimal digits."""
    return f"{kind}_{secrets.token_hex(24)}"


def items_of(given: str | Sequence[Mapping[str, Any]] | None, where: str = "input") -> list[Item]:
    """The input as items. Raises InvalidRequest whose param names the part, such as `input[0].content[1].text`."""
    if given is None:
        return []
    if isinstance(given, str):
        return [_message({"role": "user", "content": given}, where)]
    if len(given) > MOST_MESSAGES:
        raise InvalidRequest(f"The input has {len(given)} items; the limit is {MOST_MESSAGES}.", param=where)
    return [_item(item, f"{where}[{place}]") for place, item in enumerate(given)]


def _item(item: Mapping[str, Any], where: str) -> Item:
    kind = item.get("type")
    if kind is None:
        kind = "message" if "role" in item else "item_reference" if "id" in item else None
    read = READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise _not_read(f"Input items of type '{str(kind)[:40]}'", where)
    return read(item, where)


def _message(item: Mapping[str, Any], where: str) -> Item:
    role = _text(item, "role", where)
    if role not in ROLES:
        raise InvalidRequest(
            f"Invalid value for '{where}.role': '{role[:40]}'. Expected one of {', '.join(ROLES)}.",
            param=f"{where}.role",
        )
    content = item.get("content")
    if content is None:
        raise _missing(f"{where}.content")
    own = "output_text" if role == "assistant" else "input_text"
    read: Item = {"type": "message", "id": _id(item, "msg"), "role": role, "status": _status(item)}
    read["content"] = _content(content, own, f"{where}.content")
    if item.get("phase") in PHASES:
        read["phase"] = item["phase"]
    return read


def _call(item: Mapping[str, Any], where: str) -> Item:
    return {
        "type": "function_call",
        "id": _id(item, "fc"),
        "call_id": _call_id(item, where),
        "name": _text(item, "name", where),
        "arguments": _text(item, "arguments", where),
        "status": _status(item),
    }


def _output(item: Mapping[str, Any], where: str) -> Item:
    output = item.get("output")
    if output is None:
        raise _missing(f"{where}.output")
    return {
        "type": "function_call_output",
        "id": _id(item, "fco"),
        "call_id": _call_id(item, where),
        "output": output if isinstance(output, str) else _content(output, "input_text", f"{where}.output"),
        "status": _status(item),
    }


def _reasoning(item: Mapping[str, Any], where: str) -> Item:
    read: Item = {"type": "reasoning", "id": _id(item, "rs"), "summary": []}
    for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        if (given := item.get(name)) is not None:
            parts = _content(given, kind, f"{where}.{name}")
            read[name] = [
                {"type": kind, "text": _text(part, "text", f"{where}.{name}[{place}]")}
                for place, part in enumerate(parts)
            ]
    if item.get("encrypted_content") is not None:
        read["encrypted_content"] = _text(item, "encrypted_content", where)
    return read


def _reference(item: Mapping[str, Any], where: str) -> Item:
    return {"type": "item_reference", "id": _text(item, "id", where)}


READERS: Mapping[str, Callable[[Mapping[str, Any], str], Item]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
    "item_reference": _reference,
}


# ---------------------------------------------------------------- parts


def _content(content: Any, own: str, where: str) -> list[dict[str, Any]]:
    """Content parts; a bare text is one of the type `own`. Whether a role may have them, the chat's rules say."""
    if isinstance(content, str):
        return [_of_text(own, content)]
    if not isinstance(content, list):
        raise InvalidRequest(
            f"Invalid type for '{where}': expected a string or an array of parts.", param=where, code="invalid_type"
        )
    return [_part(part, f"{where}[{place}]") for place, part in enumerate(content)]


def _part(part: Any, where: str) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        raise InvalidRequest(f"Invalid type for '{where}': expected an object.", param=where, code="invalid_type")
    match part.get("type"):
        case "input_text" | "output_text" | "summary_text" | "reasoning_text" | "text" as kind:
            return _of_text(kind, _text(part, "text", where))
        case "refusal":
            return {"type": "refusal", "refusal": _text(part, "refusal", where)}
        case "input_image":
            return _image(part, where)
        case "input_file":
            given = {name: _text(part, name, where) for name in FILE_FIELDS if part.get(name) is not None}
            return {"type": "input_file", **given}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        case kind:
            raise _not_read(f"Content parts of type '{str(kind)[:40]}'", where)


FILE_FIELDS = ("file_id", "file_data", "file_url", "filename")


def _image(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    if part.get("image_url") is None and part.get("file_id") is None:
        raise _missing(f"{where}.image_url")
    source = "file_id" if part.get("image_url") is None else "image_url"
    detail = part.get("detail")
    return {"type": "input_image", source: _text(part, source, where), "detail": detail or "auto"}


def _of_text(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "text": text, **({"annotations": [], "logprobs": []} if kind == "output_text" else {})}


# ---------------------------------------------------------------- fields


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if value is None:
        raise _missing(f"{where}.{name}")
    if not isinstance(value, str):
        raise InvalidRequest(f"'{where}.{name}' must be a string.", param=f"{where}.{name}", code="invalid_type")
    return value


def _call_id(item: Mapping[str, Any], where: str) -> str:
    call_id = _text(item, "call_id", where)
    if not 0 < len(call_id) <= LONGEST_ID:
        raise InvalidRequest(f"'{where}.call_id' must have 1 to {LONGEST_ID} characters.", param=f"{where}.call_id")
    return call_id


def _id(item: Mapping[str, Any], kind: str) -> str:
    """As the client sent it, so that it finds its own items again."""
    given = item.get("id")
    if isinstance(given, str) and 0 < len(given) <= LONGEST_ID and storable(given):
        return given
    return new_id(kind)


def _status(item: Mapping[str, Any]) -> str:
    status = item.get("status")
    return status if status in STATUSES else "completed"


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _not_read(what: str, where: str) -> InvalidRequest:
    return InvalidRequest(f"{what} are not supported here.", param=f"{where}.type", code="unsupported_value")
