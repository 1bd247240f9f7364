"""Files that come with a question: their text, what is said in them, or the picture itself."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from anyio import to_thread
from starlette.requests import Request

from server.api.asksage.model_names import able
from server.api.asksage.reading import read_text
from server.api.body import Upload
from server.api.openai.image_input import FORMATS
from server.api.openai.quality import ask_of
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.core import Segment, Task, TranscriptionJob
from server.errors import InvalidRequest
from server.knowledge.parsing import reader
from server.knowledge.prompt import File, fenced

MOST_FILES = 20
_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif"))
_MARK = re.compile(r"<(\s*/?\s*file-content)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attached:
    """files: those that have a text, or their pages. pictures: content parts of a message."""

    files: tuple[File, ...] = ()
    pictures: tuple[Mapping[str, Any], ...] = ()

    @property
    def echo(self) -> str:
        """The files as the service repeats them in its answers, each between marks."""
        return "\n".join(map(_marked, self.files))

    def put(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The messages with what was attached before the text of the last one. A file can't know its marks there."""
        *earlier, last = messages
        content = last["content"]
        if self.files:
            text = f"{fenced(self.files)}\n\n"
            content = f"{text}{content}" if isinstance(content, str) else [{"type": "text", "text": text}, *content]
        if self.pictures:
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content = [*parts, *self.pictures]
        return [*earlier, {**last, "content": content}]


async def read_attached(
    request: Request, pipeline: RequestPipeline, services: Services, files: Sequence[Upload]
) -> Attached:
    """Raises UnreadableDocument, InvalidRequest, and for recordings what `Pipeline.open` does."""
    if not files:
        return Attached()
    if len(files) > MOST_FILES:
        raise InvalidRequest(f"A question has at most {MOST_FILES} files.", param="file")
    found: list[File] = []
    pictures: list[Mapping[str, Any]] = []
    for file in files:
        name = PurePosixPath(file.filename.replace("\\", "/")).name or "file"
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _PICTURES or file.content_type in FORMATS.values():
            pictures.append(await to_thread.run_sync(_picture, file.data))
        elif reader.sound(name):
            found.append(File(name, await _heard(request, pipeline, services, file, name)))
        else:
            found += await read_text(services, file, name)
    return Attached(tuple(found), tuple(pictures))


def _picture(data: bytes) -> Mapping[str, Any]:
    # Which kind it is, the picture's own header says where it is checked.
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}


async def _heard(request: Request, pipeline: RequestPipeline, services: Services, file: Upload, name: str) -> str:
    models = able(services, pipeline.caller, Task.TRANSCRIPTION)
    if not models:
        raise InvalidRequest("Recordings can't be read here: no model that transcribes is installed.", param="file")
    ask = ask_of(request, pipeline.caller, models[0], quality=None)
    async with pipeline.run(ask, TranscriptionJob(audio=file.data, filename=name)) as run:
        return "".join([event.text async for event in run.events() if isinstance(event, Segment)]).strip()


def _marked(file: File) -> str:
    about = {"filename": file.name} | ({"page_number": file.page} if file.page is not None else {})
    # A file can't end its own marks.
    inner = _MARK.sub(r"< \1", file.text)
    return f"<file-content>\n{json.dumps({'asksage_metadata': about}, ensure_ascii=False)}\n{inner}\n</file-content>"
