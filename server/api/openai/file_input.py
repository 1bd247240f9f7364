"""Files in chat messages: kept ones by their id, and those in the message itself, as the text or the picture they are.

A picture becomes an `image_url` part, and passes the checks of all pictures afterwards. What has a text becomes a text
part, fenced so that it is seen where the file begins and ends. Recordings and what else is not read are refused.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from anyio import to_thread

from server.api.file_pages import Page, pages_of_bytes, pages_of_file
from server.api.openai.data_uri import decoded, decoded_base64, is_data
from server.api.openai.file_content import opened
from server.api.openai.files import files_of
from server.api.openai.media_fetch import MediaClient
from server.api.services import Services
from server.core import Caller
from server.errors import ContextLengthExceeded, InvalidRequest, UnreadableDocument
from server.jobs.files.names import shown_name
from server.knowledge.parsing import reader
from server.knowledge.prompt import File, fenced

MOST_FILES = 20
"""Files of one request."""
MOST_FETCHED = 8
"""Of them by URL, as pictures."""
MOST_TEXT = 2_000_000
"""Characters of all files of a request: half a million tokens."""
_HEAD = 16
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")


def has_files(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(_is_file(part) for message in messages for part in _parts(message))


async def resolve_files(
    messages: Sequence[Mapping[str, Any]], services: Services, caller: Caller, client: MediaClient | None = None
) -> tuple[Mapping[str, Any], ...]:
    """The messages with every `file` part as a text or an `image_url` part; the rest is passed on as it is.

    client: fetches by URL; by default one that asks only the hosts of the settings. Raises InvalidRequest (which
    UnreadableDocument and ContextLengthExceeded are) and NotFound, whose param names the part, such as
    `messages[0].content[1].file.file_id`; Overloaded and RateLimited where too much is read at once.
    """
    if sum(_is_file(part) for message in messages for part in _parts(message)) > MOST_FILES:
        raise InvalidRequest(f"The messages have more than {MOST_FILES} files, which is the limit.", param="messages")
    async with AsyncExitStack() as held:
        files = _Files(services, caller, client, held)
        # All are looked at before the first is read: what is wrong with one of them is told at once.
        found = {
            (number, place): await files.find(part["file"], f"messages[{number}].content[{place}].file")
            for number, message in enumerate(messages)
            for place, part in enumerate(_parts(message))
            if _is_file(part)
        }
        await files.make_room(found.values())
        made = {where: await files.read(one) for where, one in found.items()}
    return tuple(_with(message, number, made) for number, message in enumerate(messages))


def _with(
    message: Mapping[str, Any], number: int, made: Mapping[tuple[int, int], Mapping[str, Any]]
) -> Mapping[str, Any]:
    if not any(_is_file(part) for part in _parts(message)):
        return message
    parts = [made.get((number, place), part) for place, part in enumerate(_parts(message))]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    # Content of text alone is one text, as it is where it comes without files.
    return {**message, "content": parts if len(texts) < len(parts) else "\n".join(texts)}


def _parts(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list | tuple) else ()


def _is_file(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "file"


@dataclass(frozen=True, slots=True)
class _Found:
    """A file before it is read. param: the field that names it. file: of a kept one, open; data: of any other."""

    name: str
    param: str
    size: int
    head: bytes
    file: BufferedReader | None = None
    data: bytes = b""

    @property
    def is_picture(self) -> bool:
        return self.head.startswith(_PICTURES) or (self.head[:4] == b"RIFF" and self.head[8:12] == b"WEBP")

    def bytes(self) -> bytes:
        """For a thread."""
        return self.data if self.file is None else self.file.read()


class _Files:
    """The files of one request. held: keeps what is open until they are read."""

    def __init__(self, services: Services, caller: Caller, client: MediaClient | None, held: AsyncExitStack) -> None:
        settings = services.settings
        self._services = services
        self._settings = settings
        self._caller = caller
        self._client = client or MediaClient(settings.image_input_hosts, kind="file", limit=settings.max_document)
        self._held = held
        self._fetched = 0
        self._characters = 0

    async def find(self, file: Mapping[str, str], where: str) -> _Found:
        """file: as `engine_messages` makes it. Raises InvalidRequest, NotFound."""
        if "file_id" in file:
            return await self._kept(file["file_id"], f"{where}.file_id")
        source = "file_data" if "file_data" in file else "file_url"
        param = f"{where}.{source}"
        data = await (self._decoded if source == "file_data" else self._fetch)(file[source], param)
        name = shown_name(file.get("filename") or "file")
        if not data:
            raise InvalidRequest("The file is empty.", param=param)
        return self._checked(_Found(name, param, len(data), data[:_HEAD], data=data))

    async def make_room(self, found: Iterable[_Found]) -> None:
        """Pictures that come by their ids are held in memory as those of a body are.

        Raises InvalidRequest, RateLimited, Overloaded.
        """
        size = 0
        for one in found:
            if one.file is not None and one.is_picture:
                size += one.size
                if size > self._settings.max_body:
                    raise InvalidRequest(
                        f"The pictures have more than {self._settings.max_body} bytes together, which is the limit.",
                        param=one.param,
                    )
        if size:
            await self._held.enter_async_context(self._services.bodies.holding(self._caller.account_id, size))

    async def read(self, one: _Found) -> Mapping[str, Any]:
        """A content part. Raises InvalidRequest."""
        if one.is_picture:
            return {"type": "image_url", "image_url": {"url": await to_thread.run_sync(_data_uri, one)}}
        try:
            pages = await self._pages(one)
        except UnreadableDocument as error:
            error.param = one.param
            raise
        self._characters += sum(len(page.text) for page in pages)
        if self._characters > MOST_TEXT:
            raise ContextLengthExceeded(
                f"The files of a request have at most {MOST_TEXT:,} characters of text together. Put them into a "
                "dataset, and ask about that.",
                param=one.param,
            )
        return {"type": "text", "text": fenced([File(one.name, page.text, page.number) for page in pages])}

    async def _pages(self, one: _Found) -> Sequence[Page]:
        if one.file is None:
            return await pages_of_bytes(self._services, one.data, one.name)
        return await pages_of_file(self._services, Path(f"/proc/self/fd/{one.file.fileno()}"), one.name)

    async def _kept(self, file_id: str, param: str) -> _Found:
        stored = await files_of(self._services).open(self._caller.account_id, file_id, param=param)
        file = self._held.enter_context(await to_thread.run_sync(opened, stored, param))
        head = await to_thread.run_sync(file.peek, _HEAD)
        return self._checked(_Found(stored.filename, param, stored.size, head[:_HEAD], file))

    def _checked(self, one: _Found) -> _Found:
        limit = self._settings.max_image_input if one.is_picture else self._settings.max_document
        if one.size > limit:
            raise InvalidRequest(f"The file has more than {limit} bytes, which is the limit.", param=one.param)
        if not one.is_picture and reader.sound(one.name):
            raise InvalidRequest(
                "The file is a recording. Send it as an input_audio part, or to /v1/audio/transcriptions.",
                param=one.param,
            )
        return one

    async def _decoded(self, text: str, param: str) -> bytes:
        read = decoded if is_data(text) else decoded_base64
        return await to_thread.run_sync(read, text, "file", self._settings.max_document, param)

    async def _fetch(self, url: str, param: str) -> bytes:
        self._fetched += 1
        if self._fetched > MOST_FETCHED:
            raise InvalidRequest(f"At most {MOST_FETCHED} files may be given by URL.", param=param)
        return await self._client.fetch(url, param)


def _data_uri(one: _Found) -> str:
    # Which kind it is, the picture's own header says where it is checked.
    return f"data:image/png;base64,{base64.b64encode(one.bytes()).decode()}"
