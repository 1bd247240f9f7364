"""Files that come with a question: their text, what is said in them, or the picture itself."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from anyio import to_thread
from starlette.requests import Request

from server.api.asksage.file_contents import headed, name_of, pages_of
from server.api.body import Upload
from server.api.file_pages import Page
from server.api.openai.image_input import FORMATS
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.errors import ContextLengthExceeded, InvalidRequest
from server.knowledge.prompt import File, fenced

MOST_FILES = 20
MOST_TEXT = 2_000_000
"""Characters of all files of a question: half a million tokens. More would be fenced and joined, while others wait, for
a prompt that no model here takes; each file by itself may hold 50 million."""
_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif"))
_MARK = re.compile(r"<(\s*/?\s*file-content)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attached:
    """pages: of all files that have a text, each with its file's name. pictures: content parts of a message."""

    pages: tuple[tuple[str, Page], ...] = ()
    pictures: tuple[Mapping[str, Any], ...] = ()

    @property
    def echo(self) -> str:
        """The files as the service repeats them in its answers, each between marks."""
        return "\n".join(_marked(name, page) for name, page in self.pages)

    def put(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The messages with what was attached before the text of the last one. A file can't know its marks there."""
        *earlier, last = messages
        content = last["content"]
        if self.pages:
            text = f"{fenced([File(name, page.text, page.number) for name, page in self.pages])}\n\n"
            content = f"{text}{content}" if isinstance(content, str) else [{"type": "text", "text": text}, *content]
        if self.pictures:
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content = [*parts, *self.pictures]
        return [*earlier, {**last, "content": content}]


async def read_attached(
    request: Request, pipeline: RequestPipeline, services: Services, files: Sequence[Upload]
) -> Attached:
    """Raises UnreadableDocument, InvalidRequest, ContextLengthExceeded; for recordings what `Pipeline.open` does."""
    if not files:
        return Attached()
    if len(files) > MOST_FILES:
        raise InvalidRequest(f"A question has at most {MOST_FILES} files.", param="file")
    pages: list[tuple[str, Page]] = []
    pictures: list[Mapping[str, Any]] = []
    for number, file in enumerate(files, 1):
        name = name_of(file)
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _PICTURES or file.content_type in FORMATS.values():
            pictures.append(await to_thread.run_sync(_picture, file.data))
        else:
            found = await pages_of(request, pipeline, services, file, name, part=number)
            pages += [(name, page) for page in found]
            if sum(len(page.text) for _, page in pages) > MOST_TEXT:
                raise ContextLengthExceeded(
                    f"The files of a question have at most {MOST_TEXT:,} characters of text together. Put them into a "
                    "dataset, and ask about that.",
                    param="file",
                )
    return Attached(tuple(pages), tuple(pictures))


def _picture(data: bytes) -> Mapping[str, Any]:
    # Which kind it is, the picture's own header says where it is checked.
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}


def _marked(name: str, page: Page) -> str:
    inner = _MARK.sub(r"< \1", headed(page, name))  # a file can't end its own marks
    return f"<file-content>\n{inner}\n</file-content>"
