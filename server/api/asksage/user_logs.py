"""/user/get-user-logs, /user/get-user-logins and /server/vote-down: what was asked, and by what token exchange."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.answers.asksage_users import Said
from server.api.asksage import body as bodies
from server.api.asksage.dialect import said
from server.api.asksage.own import MOST_BODY, shown_time
from server.api.deps import CallerDep
from server.api.knowledge.deps import KnowledgeDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body

router = APIRouter(route_class=PlainRoute)
votes = APIRouter(route_class=PlainRoute)
LARGEST = 2**63 - 1


class LogsBody(Body):
    """before_id: of the last question seen, for the next page."""

    limit: int = Field(100, ge=1, le=100)
    before_id: int | None = Field(None, ge=0, le=LARGEST)


class LoginsBody(Body):
    limit: int = Field(5, ge=1, le=100)


class VoteBody(Body):
    """uuid: an answer's."""

    uuid: str


@router.api_route("/get-user-logs", methods=["GET", "POST"])
@documented(body=LogsBody, answer=Said, examples={"the last ten": {"limit": 10}})
async def get_user_logs(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """The account's questions, the newest first. Their texts are there where the server keeps them."""
    body = (await bodies.read(request, LogsBody, limit=MOST_BODY)).body
    return said(
        [
            {
                "id": one.id,
                "uuid": one.uuid,
                "date_time": shown_time(one.at),
                "ip": one.ip,
                "model": one.model,
                "prompt": one.prompt,
                "completion": one.completion,
                "prompt_tokens": one.prompt_tokens,
                "completion_tokens": one.completion_tokens,
                "total_tokens": one.total_tokens,
                "teach": one.teach,
                "downvoted": one.downvoted,
            }
            for one in await knowledge.users.prompts(caller, body.limit, body.before_id)
        ]
    )


@router.api_route("/get-user-logins", methods=["GET", "POST"])
@documented(body=LoginsBody, answer=Said, examples={"the last three": {"limit": 3}})
async def get_user_logins(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """The account's token exchanges, the newest first."""
    body = (await bodies.read(request, LoginsBody, limit=MOST_BODY)).body
    return said(
        [
            {
                "id": one.id,
                "date_time": shown_time(one.at),
                "ip": one.ip,
                "status": "Success" if one.succeeded else "Failure",
                "type": "login",
            }
            for one in await knowledge.users.logins(caller, body.limit)
        ]
    )


@votes.api_route("/vote-down", methods=["GET", "POST"])
@documented(
    body=VoteBody,
    form=VoteBody,
    answer=Said,
    missing=True,
    examples={"a bad answer": {"uuid": "0b6c1d1e-1111-4222-8333-444455556666"}},
)
async def vote_down(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Mark an answer as a bad one, for whoever reads the log."""
    body = (await bodies.read(request, VoteBody, limit=MOST_BODY)).body
    await knowledge.users.vote_down(caller, body.uuid)
    return said("OK")
