"""/server/file: the text of a file, which is put nowhere."""

import json
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.asksage_users import FileText
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered
from server.api.asksage.reading import read_text
from server.api.body import FORM_OVERHEAD
from server.api.deps import PipelineDep, ServicesDep
from server.api.lifetime import while_connected
from server.api.openai.quality import ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body
from server.core import Segment, Task, TranscriptionJob
from server.errors import InvalidRequest
from server.knowledge.parsing import reader
from server.knowledge.prompt import File
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)


class FileBody(Body):
    """strategy: all read a file's own text. special_csv: false."""

    strategy: Literal["auto", "fast", "hi_res"] = "auto"
    special_csv: Literal[False] = False


@router.post("/file")
@documented(form=FileBody, files={"file": True}, inference=True, answer=FileText)
async def file_text(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """The text of a document, or what is said in a recording."""
    received = await bodies.read(
        request, FileBody, limit=FORM_OVERHEAD, file_limit=services.settings.max_document, task=Task.TRANSCRIPTION
    )
    if len(received.files) != 1:
        raise InvalidRequest("One file is taken, as the part `file`.", param="file")
    file = received.files[0]
    name = file.filename.replace("\\", "/").rpartition("/")[2].replace(" ", "")
    if reader.sound(name):
        model = next((one.id for one in services.catalog.public_models() if Task.TRANSCRIPTION in one.tasks), None)
        if model is None:
            raise InvalidRequest("This server has no model that transcribes recordings.", param="file")
        job = TranscriptionJob(audio=file.data, filename=name)
        async with pipeline.run(ask_of(request, pipeline.caller, model, quality=None), job) as run:
            ret = _marked(File(name, await while_connected(request, _heard(run))))
    else:
        ret = "".join(map(_marked, await while_connected(request, read_text(services, file, name))))
    return answered({"response": "OK", "ret": ret, "sent_filename": name, "status": 200})


async def _heard(run: Run) -> str:
    return "".join([event.text async for event in run.events() if isinstance(event, Segment)]).strip()


def _marked(file: File) -> str:
    about = {"filename": file.name} | ({} if file.page is None else {"page_number": file.page})
    return f"\n{json.dumps({'asksage_metadata': about}, ensure_ascii=False)}\n{file.text}"
