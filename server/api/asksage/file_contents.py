"""What a file says: the text of each of its pages, headings included, or what is heard in it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from starlette.requests import Request

from server.api.asksage.model_names import able
from server.api.body import Upload
from server.api.file_pages import Page, pages_of_bytes
from server.api.lifetime import while_connected
from server.api.openai.quality import ask_of
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.core import Segment, Task, TranscriptionJob
from server.errors import InvalidRequest
from server.knowledge.parsing import reader
from server.pipeline.run import Run


def headed(page: Page, name: str) -> str:
    """The text below the line by which the service says where it is from."""
    about = {"filename": name} | ({} if page.number is None else {"page_number": page.number})
    return f"{json.dumps({'asksage_metadata': about}, ensure_ascii=False)}\n{page.text}"


def name_of(file: Upload) -> str:
    """Without the folders that clients put before it."""
    return PurePosixPath(file.filename.replace("\\", "/")).name or "file"


async def pages_of(
    request: Request,
    pipeline: RequestPipeline,
    services: Services,
    file: Upload,
    name: str,
    *,
    part: int | None = None,
) -> Sequence[Page]:
    """name: its suffix says what the file is. part: its number, where it is not what the request is about; the ledger
    makes one hold for an id, and the request's own is then its answer's.

    Whoever hangs up pays for what was heard until then. Raises UnreadableDocument, Overloaded, HungUp, and for
    recordings InvalidRequest and what `Pipeline.open` does.
    """
    if reader.sound(name):
        return [Page(None, await _heard(request, pipeline, services, file, name, part))]
    return await while_connected(request, pages_of_bytes(services, file.data, name))


async def _heard(
    request: Request, pipeline: RequestPipeline, services: Services, file: Upload, name: str, part: int | None
) -> str:
    models = able(services, pipeline.caller, Task.TRANSCRIPTION)
    if not models:
        raise InvalidRequest("Recordings can't be read here: there is no model that transcribes.", param="file")
    ask = ask_of(request, pipeline.caller, models[0], quality=None)
    if part is not None:
        ask = replace(ask, id=f"{ask.id}-file-{part}")
    async with pipeline.run(ask, TranscriptionJob(audio=file.data, filename=name)) as run:
        return await while_connected(request, _said(run))


async def _said(run: Run) -> str:
    return "".join([event.text async for event in run.events() if isinstance(event, Segment)]).strip()
