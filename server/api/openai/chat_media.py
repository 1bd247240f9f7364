"""What messages hold besides text, in the form that engines take it: pictures and sounds."""

from collections.abc import Mapping, Sequence
from typing import Any

from server.api.openai.audio_input import resolve_sounds
from server.api.openai.image_input import resolve_images
from server.settings import Settings


def has_media(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any content is more than one text."""
    return any(not isinstance(message["content"], str) for message in messages)


async def resolve_media(messages: Sequence[Mapping[str, Any]], settings: Settings) -> tuple[Mapping[str, Any], ...]:
    """The messages with pictures and sounds as engines take them, within the limits.

    Raises InvalidRequest whose param names the part, such as `messages[0].content[1].image_url.url`.
    """
    return await resolve_sounds(await resolve_images(messages, settings), settings)
