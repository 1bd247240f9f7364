"""Files that come with a question: their text, what is said in them, or the picture itself."""

import base64
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from anyio import to_thread
from starlette.requests import Request

from server.api.asksage.model_names import able
from server.api.body import Upload
from server.api.lifetime import while_connected
from server.api.openai.image_input import FORMATS
from server.api.openai.quality import ask_of
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.core import Segment, Task, TranscriptionJob
from server.errors import InvalidRequest
from server.knowledge.parsing import reader
from server.pipeline.run import Run

MOST_FILES = 20
_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif"))
_MARK = re.compile(r"<(\s*/?\s*file-content)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attached:
    """text: of all files that have one, each between marks. pictures: content parts of a message."""

    text: str = ""
    pictures: tuple[Mapping[str, Any], ...] = ()

    def put(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The messages with what was attached before the text of the last one."""
        *earlier, last = messages
        content = last["content"]
        if self.text:
            text = f"{self.text}\n\n"
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
    texts: list[str] = []
    pictures: list[Mapping[str, Any]] = []
    for number, file in enumerate(files, 1):
        name = PurePosixPath(file.filename.replace("\\", "/")).name or "file"
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _PICTURES or file.content_type in FORMATS.values():
            pictures.append(await to_thread.run_sync(_picture, file.data))
        elif reader.sound(name):
            texts.append(_marked(name, None, await _heard(request, pipeline, services, file, name, number)))
        else:
            texts += await while_connected(request, _read(services, file, name))
    return Attached("\n".join(texts), tuple(pictures))


def _picture(data: bytes) -> Mapping[str, Any]:
    # Which kind it is, the picture's own header says where it is checked.
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}


async def _read(services: Services, file: Upload, name: str) -> list[str]:
    """The text of each page, or of the whole where there are none."""
    settings = services.settings
    with tempfile.TemporaryDirectory(prefix="sagehold-") as folder:
        path = Path(folder) / "file"
        await to_thread.run_sync(path.write_bytes, file.data)
        blocks = await reader.read(path, name, timeout=settings.document_timeout, memory=settings.document_memory)
    pages: dict[int | None, list[str]] = {}
    for block in blocks:
        pages.setdefault(block.page, []).append(block.text)
    return [_marked(name, page, "\n\n".join(texts)) for page, texts in pages.items()]


async def _heard(
    request: Request, pipeline: RequestPipeline, services: Services, file: Upload, name: str, number: int
) -> str:
    models = able(services, pipeline.caller, Task.TRANSCRIPTION)
    if not models:
        raise InvalidRequest("Recordings can't be read here: no model that transcribes is installed.", param="file")
    ask = ask_of(request, pipeline.caller, models[0], quality=None)
    # The ledger makes one hold for an id: the request's own is the answer's.
    ask = replace(ask, id=f"{ask.id}-file-{number}")
    async with pipeline.run(ask, TranscriptionJob(audio=file.data, filename=name)) as run:
        # Within the run: whoever hangs up pays for what was heard until then.
        return await while_connected(request, _said(run))


async def _said(run: Run) -> str:
    return "".join([event.text async for event in run.events() if isinstance(event, Segment)]).strip()


def _marked(name: str, page: int | None, text: str) -> str:
    about = {"filename": name} | ({"page_number": page} if page is not None else {})
    # A file can't end its own marks.
    inner = _MARK.sub(r"< \1", text)
    return f"<file-content>\n{json.dumps({'asksage_metadata': about}, ensure_ascii=False)}\n{inner}\n</file-content>"
