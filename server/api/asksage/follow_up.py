"""/server/follow-up-questions: what one may ask next."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.answers.asksage import Completion
from server.api.asksage.query import Asking
from server.api.asksage.query_request import QueryBody
from server.api.deps import PipelineDep, ServicesDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute

router = APIRouter(route_class=PlainRoute)

INSTRUCTION = (
    "Write three short questions that the user may want to ask next, one on each line, without numbers and without "
    "answers."
)


class FollowUpBody(QueryBody):
    """As a question's. Datasets are searched only where `limit_references` is set."""

    limit_references: int | None = Field(0, ge=0)


EXAMPLES = {"after a question": {"message": "What is the capital of Japan?"}}


async def _answer(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    asking = Asking(request, pipeline, services)
    body, files = await asking.received(FollowUpBody)
    asked = body.model_copy(update={"system_prompt": INSTRUCTION})
    return await asking.answer(asked, body.conversation(), files, streamed=body.streaming)


@router.api_route("/follow-up-questions", methods=["GET", "POST"])
@documented(body=FollowUpBody, form=FollowUpBody, inference=True, answer=Completion, examples=EXAMPLES)
async def follow_up_questions(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """Questions that may be asked next, as text in `message`."""
    return await _answer(request, pipeline, services)


@router.api_route("/follow_up_questions", methods=["GET", "POST"])
@documented(body=FollowUpBody, form=FollowUpBody, inference=True, answer=Completion, examples=EXAMPLES)
async def follow_up_questions_by_its_other_name(
    request: Request, pipeline: PipelineDep, services: ServicesDep
) -> Response:
    """The same as /server/follow-up-questions."""
    return await _answer(request, pipeline, services)
