"""What messages hold besides text, in the form that engines take it: files, pictures and sounds."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from server.api.lifetime import while_connected
from server.api.openai.audio_input import resolve_sounds
from server.api.openai.file_input import has_files, resolve_files
from server.api.openai.image_input import resolve_images
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services, services_of
from server.core import Ask, Caller, ChatJob, Job
from server.errors import InvalidRequest
from server.pipeline.run import Run

_PICTURE = re.compile(r"messages\[(\d+)\]\.content\[(\d+)\]\.image_url")


def has_media(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any content is more than one text."""
    return any(not isinstance(message["content"], str) for message in messages)


async def resolve_media(
    messages: Sequence[Mapping[str, Any]], services: Services, caller: Caller
) -> tuple[Mapping[str, Any], ...]:
    """The messages with files, pictures and sounds as engines take them, within the limits.

    Raises what `resolve_files` does, and InvalidRequest whose param names the part, such as
    `messages[0].content[1].image_url.url`.
    """
    read = await resolve_files(messages, services, caller)
    try:
        pictured = await resolve_images(read, services.settings)
    except InvalidRequest as error:
        _name_as_sent(error, messages)
        raise
    return await resolve_sounds(pictured, services.settings)


def opening_of(
    request: Request,
    pipeline: RequestPipeline,
    ask: Ask,
    chat: ChatJob,
    around: Callable[[ChatJob], Job] = lambda chat: chat,
) -> AbstractAsyncContextManager[Run]:
    """The run of a chat, whose media are resolved when it is opened. around: the job that the chat is part of."""
    if not has_media(chat.messages):
        return pipeline.run(ask, around(chat))
    return _resolving(request, pipeline, ask, chat, around)


@asynccontextmanager
async def _resolving(
    request: Request, pipeline: RequestPipeline, ask: Ask, chat: ChatJob, around: Callable[[ChatJob], Job]
) -> AsyncGenerator[Run, None]:
    async with AsyncExitStack() as held:
        if has_files(chat.messages):
            # To take the text from a file costs the server more than the body: it is done for who is let in.
            await held.enter_async_context(pipeline.admitted(ask, around(chat)))
        work = resolve_media(chat.messages, services_of(request), pipeline.caller)
        chat = replace(chat, messages=await while_connected(request, work))
        yield await held.enter_async_context(pipeline.run(ask, around(chat)))


def _name_as_sent(error: InvalidRequest, messages: Sequence[Mapping[str, Any]]) -> None:
    """Whoever sent a picture as a file wrote no part with a picture. messages: as they were sent."""
    if found := _PICTURE.match(error.param or ""):
        number, place = map(int, found.groups())
        part = messages[number]["content"][place]
        if part["type"] == "file":
            error.param = f"messages[{number}].content[{place}].file.{next(iter(part['file']))}"
