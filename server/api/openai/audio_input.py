"""Sounds in chat messages, in either form that clients send, so that engines see one: `input_audio` in base64.

OpenAI's own is `input_audio` with base64 and a format; vLLM's is `audio_url`, a data URI or a URL of an allowed host.
What a file really holds, and how long it is, whoever hears it finds out: nothing here decodes sound.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from anyio import to_thread

from server.api.openai.data_uri import decoded, decoded_base64, is_data
from server.api.openai.media_fetch import MediaClient
from server.errors import InvalidRequest
from server.settings import Settings

MAX_FETCHED = 8
"""Sounds by URL in one request, as pictures."""


async def resolve_sounds(
    messages: Sequence[Mapping[str, Any]], settings: Settings, client: MediaClient | None = None
) -> tuple[Mapping[str, Any], ...]:
    """The messages with every sound as `{"type": "input_audio", "input_audio": {"data", "format"}}`.

    client: fetches what is not a data URI; by default one that asks only the hosts of `settings`. Raises
    InvalidRequest whose param names the part, such as `messages[0].content[1].input_audio.data`.
    """
    sounds = _Sounds(settings, client)
    resolved: list[Mapping[str, Any]] = []
    for number, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list | tuple):
            parts = [
                await sounds.resolve(part, f"messages[{number}].content[{place}]") for place, part in enumerate(content)
            ]
            message = {**message, "content": parts}  # noqa: PLW2901 - the caller's message stays as it is
        resolved.append(message)
    return tuple(resolved)


class _Sounds:
    """The sounds of one request."""

    def __init__(self, settings: Settings, client: MediaClient | None) -> None:
        self._settings = settings
        self._client = client
        self._number = 0
        self._fetched = 0

    async def resolve(self, part: Mapping[str, Any], param: str) -> Mapping[str, Any]:
        match part.get("type"):
            case "input_audio":
                sound = part["input_audio"]
                data = await self._from_base64(sound["data"], f"{param}.input_audio.data")
                return _part(data, sound["format"])
            case "audio_url":
                data = await self._from_url(part["audio_url"]["url"], f"{param}.audio_url.url")
                return _part(data, "audio")
        return part

    async def _from_base64(self, text: str, param: str) -> bytes:
        self._count(param)
        limit = self._settings.max_audio_input
        if is_data(text):
            return await to_thread.run_sync(decoded, text, "audio", limit, param)
        return await to_thread.run_sync(decoded_base64, text, "audio", limit, param)

    async def _from_url(self, url: str, param: str) -> bytes:
        self._count(param)
        settings = self._settings
        if is_data(url):
            return await to_thread.run_sync(decoded, url, "audio", settings.max_audio_input, param)
        self._fetched += 1
        if self._fetched > MAX_FETCHED:
            raise InvalidRequest(f"At most {MAX_FETCHED} sounds may be given by URL.", param=param)
        client = self._client or MediaClient(settings.image_input_hosts, kind="audio", limit=settings.max_audio_input)
        return await client.fetch(url, param)

    def _count(self, param: str) -> None:
        self._number += 1
        if self._number > (most := self._settings.max_audio_inputs):
            raise InvalidRequest(f"The messages have more than {most} sounds, which is the limit.", param=param)


def _part(data: bytes, kind: str) -> Mapping[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": kind}}
