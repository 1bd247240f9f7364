"""/server/file: the text of a file, which is put nowhere."""

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.asksage_users import FileText
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered
from server.api.asksage.file_contents import headed, name_of, pages_of
from server.api.body import FORM_OVERHEAD
from server.api.deps import PipelineDep, ServicesDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body
from server.core import Task
from server.errors import InvalidRequest

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
    name = name_of(file).replace(" ", "")
    pages = await pages_of(request, pipeline, services, file, name)
    ret = "".join(f"\n{headed(page, name)}" for page in pages)
    return answered({"response": "OK", "ret": ret, "sent_filename": name, "status": 200})
