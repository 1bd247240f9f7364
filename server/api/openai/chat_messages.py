"""The messages of a chat: what each role needs, and the four roles that engines know."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from server.api.validation import Body
from server.errors import InvalidRequest

MOST_MESSAGES = 2048
"""As the OpenAI API has it. Hundreds of thousands of tiny ones fit into a body, and took seconds to lay out."""
MOST_PARTS = 10_000
"""Content parts and tool calls of all messages together, for the same reason."""

MOST_ARGUMENTS = 4 * 1024 * 1024
"""Characters of the arguments of all earlier calls together."""
MOST_ARGUMENT_BRACKETS = 50_000
"""In them. They are JSON within JSON, which is made where the prompt is written: 18 MB of `[]` are gigabytes."""

AUDIO_FORMATS = ("wav", "mp3", "flac", "ogg", "opus", "aac", "m4a", "mp4", "webm")
"""What `input_audio` may call a sound. Which it is, its bytes say."""

FILE_SOURCES = ("file_id", "file_data", "file_url")
"""By which a `file` part says where the file is; the last is the Responses API's alone."""


class Message(Body):
    """Loose where the API is loose: which fields a role needs is checked in `engine_messages`."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    audio: dict[str, Any] | None = None


Recall = Callable[[str], str | None]
"""From the id of an earlier spoken answer to what it said; None where that is not known any more."""


def engine_messages(messages: Sequence[Message], recall: Recall = lambda _: None) -> list[Mapping[str, Any]]:
    """OpenAI messages with the roles system, user, assistant and tool only."""
    if sum(len(message.tool_calls or ()) + _parts(message.content) for message in messages) > MOST_PARTS:
        raise InvalidRequest(
            f"The messages have more than {MOST_PARTS} content parts and tool calls together.", param="messages"
        )
    converted: list[Mapping[str, Any]] = []
    calls = 0  # legacy calls have no ids: the n-th call and the n-th result belong together
    arguments = False
    for i, message in enumerate(messages):
        param = f"messages[{i}]"
        content = _content(message, param, recall)
        match message.role:
            case "developer" | "system":
                converted.append({"role": "system", "content": content})
            case "user":
                converted.append({"role": "user", "content": content})
            case "assistant":
                one: dict[str, Any] = {"role": "assistant", "content": content}
                # By the name of vLLM's or by DeepSeek's; clients that keep an answer send it back whole.
                if isinstance(reasoning := message.reasoning or message.reasoning_content, str):
                    one["reasoning"] = reasoning
                if message.tool_calls:
                    arguments = True
                    one["tool_calls"] = [
                        _call(call, f"{param}.tool_calls[{j}]") for j, call in enumerate(message.tool_calls)
                    ]
                elif message.function_call:
                    calls, arguments = calls + 1, True
                    legacy = {"id": f"call_{calls}", "type": "function", "function": message.function_call}
                    one["tool_calls"] = [_call(legacy, param, inner="function_call")]
                converted.append(one)
            case "tool":
                if not message.tool_call_id:
                    raise InvalidRequest(
                        f"Missing required parameter: '{param}.tool_call_id'.",
                        param=f"{param}.tool_call_id",
                        code="missing_required_parameter",
                    )
                converted.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": content})
            case "function":
                converted.append({"role": "tool", "tool_call_id": f"call_{calls}", "content": content})
    if arguments:
        _check_arguments(converted)
    return converted


def _check_arguments(messages: Sequence[Mapping[str, Any]]) -> None:
    given = [call["function"]["arguments"] for message in messages for call in message.get("tool_calls", ())]
    if sum(map(len, given)) > MOST_ARGUMENTS:
        raise InvalidRequest(
            f"The arguments of earlier calls have more than {MOST_ARGUMENTS} characters.", param="messages"
        )
    if sum(text.count("[") + text.count("{") for text in given) > MOST_ARGUMENT_BRACKETS:
        raise InvalidRequest(
            f"The arguments of earlier calls have more than {MOST_ARGUMENT_BRACKETS} brackets.", param="messages"
        )


def _content(message: Message, param: str, recall: Recall) -> Any:
    """A string, or parts of the types text, image_url, input_audio, audio_url and file."""
    content = message.content
    if content is None:
        if message.role == "assistant":
            return "" if message.audio is None else _recalled(message.audio, param, recall)
        raise InvalidRequest(
            f"Missing required parameter: '{param}.content'.",
            param=f"{param}.content",
            code="missing_required_parameter",
        )
    if isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = []
    for i, part in enumerate(content):
        where = f"{param}.content[{i}]"
        match part.get("type"):
            case "text" | "refusal" as kind:
                text = part.get(kind)
                if not isinstance(text, str):
                    raise InvalidRequest(
                        f"'{where}.{kind}' must be a string.", param=f"{where}.{kind}", code="invalid_type"
                    )
                parts.append({"type": "text", "text": text})
            case "image_url" if message.role == "user":
                image = part.get("image_url")
                url = image if isinstance(image, str) else as_mapping(image).get("url")  # some clients send it bare
                if not isinstance(url, str):
                    raise InvalidRequest(
                        f"'{where}.image_url.url' must be a string.",
                        param=f"{where}.image_url.url",
                        code="invalid_type",
                    )
                parts.append({"type": "image_url", "image_url": {"url": url}})
            case "input_audio" if message.role == "user":
                parts.append(_sound(part, where))
            case "audio_url" if message.role == "user":
                sound = part.get("audio_url")
                url = sound if isinstance(sound, str) else as_mapping(sound).get("url")
                parts.append({"type": "audio_url", "audio_url": {"url": _string(url, f"{where}.audio_url.url")}})
            case "file" if message.role == "user":
                parts.append({"type": "file", "file": _file(as_mapping(part.get("file")), f"{where}.file")})
            case kind:
                raise InvalidRequest(
                    f"Content parts of type '{str(kind)[:40]}' are not supported in {message.role} messages.",
                    param=f"{where}.type",
                    code="unsupported_value",
                )
    return parts if any(part["type"] != "text" for part in parts) else "\n".join(part["text"] for part in parts)


def _sound(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    sound = as_mapping(part.get("input_audio"))
    data = _string(sound.get("data"), f"{where}.input_audio.data")
    kind = _string(sound.get("format"), f"{where}.input_audio.format")
    if kind not in AUDIO_FORMATS:
        raise InvalidRequest(
            f"'{kind[:40]}' is no format of sound. Expected one of {', '.join(AUDIO_FORMATS)}.",
            param=f"{where}.input_audio.format",
        )
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


def _file(file: Mapping[str, Any], where: str) -> dict[str, str]:
    """One of `file_id`, `file_data` and `file_url`, and its `filename` where that is said."""
    sources = [name for name in FILE_SOURCES if file.get(name) is not None]
    if len(sources) > 1:
        raise InvalidRequest(f"Send either {sources[0]} or {sources[1]}, not both.", param=f"{where}.{sources[1]}")
    source = sources[0] if sources else FILE_SOURCES[0]
    read = {source: _string(file.get(source), f"{where}.{source}")}
    return read if file.get("filename") is None else read | {"filename": _string(file["filename"], f"{where}.filename")}


def _recalled(audio: Mapping[str, Any], param: str, recall: Recall) -> str:
    said = recall(_string(audio.get("id"), f"{param}.audio.id"))
    if said is None:
        raise InvalidRequest(
            "This spoken answer is not known any more. Send its transcript as the message's content.",
            param=f"{param}.audio.id",
        )
    return said


def _string(value: Any, param: str) -> str:
    if value is None:
        raise InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if not isinstance(value, str):
        raise InvalidRequest(f"'{param}' must be a string.", param=param, code="invalid_type")
    return value


def _call(call: Mapping[str, Any], param: str, inner: str = "function") -> dict[str, Any]:
    function = as_mapping(call.get("function"))
    name, arguments = function.get("name"), function.get("arguments", "{}")
    if not isinstance(name, str) or not isinstance(arguments, str):
        raise InvalidRequest(
            f"'{param}.{inner}' needs a name and arguments, both strings.",
            param=f"{param}.{inner}",
            code="invalid_type",
        )
    return {"id": str(call.get("id") or ""), "type": "function", "function": {"name": name, "arguments": arguments}}


def _parts(content: str | list[dict[str, Any]] | None) -> int:
    return len(content) if isinstance(content, list) else 0


def as_mapping(value: Any) -> Mapping[str, Any]:
    """An object as it is; anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}
