"""/user/…chat…: chats that clients keep here. Outcomes are in the body's status, and HTTP's is 200, as the service has
it: of these routes its own specification says so, whatever `asksage_strict_status` is.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.api.answers.asksage_users import Said
from server.api.asksage import body as bodies
from server.api.asksage.dialect import Outcome, said
from server.api.asksage.own import MOST_BODY, Nothing, account_by, shown_time
from server.api.deps import CallerDep
from server.api.knowledge.deps import KnowledgeDep
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.rows import AdministrationDep
from server.api.validation import Body
from server.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge
from server.knowledge.chats import MOST_CONTENT, UNTITLED, Chat

router = APIRouter(route_class=PlainRoute)
MOST_CHAT_BODY = 2 * MOST_CONTENT


class SessionBody(Body):
    session_id: str | None = None


class NewSession(Body):
    title: str | None = None


class Appending(Body):
    """Either `session_id` and `message`; or `chat_title` and `chats`, for the newest chat of that title, or a new one.

    message, chats: whatever JSON; of a list, and of `{"chats": [...]}`, each element is appended.
    """

    session_id: str | None = None
    message: Any = None
    chat_title: str | None = None
    chats: Any = None


class Copying(Body):
    chat_id: str | None = None
    email: str | None = None


class Retitling(SessionBody):
    new_title: str | None = None


class Replacing(SessionBody):
    """Without a title it becomes `New Chat`; without json_data, empty."""

    title: str = UNTITLED
    json_data: Any = ()


class _Said(Exception):
    """An outcome other than success, in the body alone."""

    def __init__(self, response: str, status: int) -> None:
        self.answer = Outcome(response, status)


@asynccontextmanager
async def _in_words(
    missing: str | None = None, invalid: str | None = None, *, absent: int | None = None
) -> AsyncGenerator[None, None]:
    """What goes wrong with a chat, as an outcome: in these words, or in the error's own. absent: the status of what is
    not there. Raises _Said."""
    try:
        yield
    except NotFound as error:
        raise _Said(missing or error.message, absent or error.status) from None
    except (InvalidRequest, PayloadTooLarge, Conflict) as error:
        raise _Said(invalid if invalid and isinstance(error, InvalidRequest) else error.message, error.status) from None


@router.api_route("/get-chats", methods=["GET", "POST"])
@documented(body=Nothing, answer=Said, examples={"nothing": {}})
async def get_chats(caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """The account's chats, without what is in them. `response` is JSON in a text."""
    rows = [_row(chat) for chat in await knowledge.users.chats.list(caller)]
    return said(json.dumps({"chats": rows, "buttons": []}))


@router.post("/create-chat-session")
@documented(body=NewSession, answer=Said, examples={"a title": {"title": "plans"}})
async def create_chat_session(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """A new chat; `response` is its id."""
    try:
        async with _in_words():
            body = (await bodies.read(request, NewSession, limit=MOST_BODY)).body
            chat = await knowledge.users.chats.create(caller, body.title or UNTITLED)
    except _Said as outcome:
        return outcome.answer
    return said(chat.id)


@router.api_route("/get-chat-session", methods=["GET", "POST"])
@documented(body=SessionBody, answer=Said, examples={"a chat": {"session_id": "0b6c1d1e-1111-4222-8333-444455556666"}})
async def get_chat_session(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """A chat, with what is in it."""
    try:
        async with _in_words("Session not found"):
            body = (await bodies.read(request, SessionBody, limit=MOST_BODY)).body
            chat = await knowledge.users.chats.find(caller, _given(body.session_id))
    except _Said as outcome:
        return outcome.answer
    return said({**_row(chat), "json_data": chat.content})


@router.post("/delete-chat-session")
@documented(body=SessionBody, answer=Said, examples={"a chat": {"session_id": "0b6c1d1e-1111-4222-8333-444455556666"}})
async def delete_chat_session(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Delete a chat."""
    try:
        async with _in_words("Session not found"):
            body = (await bodies.read(request, SessionBody, limit=MOST_BODY)).body
            await knowledge.users.chats.delete(caller, _given(body.session_id))
    except _Said as outcome:
        return outcome.answer
    return said("OK")


@router.post("/append-chat")
@documented(
    body=Appending,
    answer=Said,
    examples={
        "as the Python client does": {"chat_title": "plans", "chats": {"chats": [{"user": "me", "message": "Hello"}]}},
    },
)
async def append_chat(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Add to a chat; `response` is its id."""
    try:
        async with _in_words("Session not found"):
            body = (await bodies.read(request, Appending, limit=MOST_CHAT_BODY)).body
            chats = knowledge.users.chats
            if body.session_id is not None:
                if body.message is None:
                    raise InvalidRequest("Missing data")
                chat = await chats.append(caller, body.session_id, _elements(body.message))
            elif body.chats is not None:
                title = body.chat_title or UNTITLED
                chat = await chats.append_to_title(caller, title, _elements(body.chats))
            else:
                raise InvalidRequest("Missing data")
    except _Said as outcome:
        return outcome.answer
    return said(chat.id)


@router.post("/copy-chat")
@documented(
    body=Copying,
    answer=Said,
    examples={"to another account": {"chat_id": "0b6c1d1e-1111-4222-8333-444455556666", "email": "bob@example.org"}},
)
async def copy_chat(
    request: Request, caller: CallerDep, knowledge: KnowledgeDep, administration: AdministrationDep
) -> Response:
    """Give another account a chat like it."""
    try:
        async with _in_words(absent=400):
            body = (await bodies.read(request, Copying, limit=MOST_BODY)).body
            if not body.chat_id or not body.email:
                raise InvalidRequest("Missing data")
            await knowledge.users.chats.find(caller, body.chat_id)
            account = await account_by(body.email, administration)
            await knowledge.users.chats.copy(caller, body.chat_id, account.id)
    except _Said as outcome:
        return outcome.answer
    return said("Chats copied")


@router.post("/update-chat-session-title")
@documented(
    body=Retitling,
    answer=Said,
    examples={"another title": {"session_id": "0b6c1d1e-1111-4222-8333-444455556666", "new_title": "plans"}},
)
async def update_chat_session_title(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Give a chat another title."""
    try:
        async with _in_words("Session not found"):
            body = (await bodies.read(request, Retitling, limit=MOST_BODY)).body
            if not body.session_id or not body.new_title:
                raise InvalidRequest("Missing data")
            await knowledge.users.chats.retitle(caller, body.session_id, body.new_title)
    except _Said as outcome:
        return outcome.answer
    return said("Title updated")


@router.post("/update-chat-session-json")
@documented(
    body=Replacing,
    answer=Said,
    examples={"empty": {"session_id": "0b6c1d1e-1111-4222-8333-444455556666", "json_data": []}},
)
async def update_chat_session_json(request: Request, caller: CallerDep, knowledge: KnowledgeDep) -> Response:
    """Replace what is in a chat, and its title."""
    try:
        async with _in_words("Invalid session_id", "Invalid input", absent=400):
            body = (await bodies.read(request, Replacing, limit=MOST_CHAT_BODY)).body
            if not isinstance(body.json_data, list | tuple):
                raise InvalidRequest
            await knowledge.users.chats.replace(caller, _given(body.session_id), body.title, body.json_data)
    except _Said as outcome:
        return outcome.answer
    return said("Chat content updated")


def _given(session_id: str | None) -> str:
    if not session_id:
        raise InvalidRequest("Missing data")
    return session_id


def _elements(value: Any) -> list[Any]:
    if isinstance(value, dict) and isinstance(value.get("chats"), list):
        value = value["chats"]
    return value if isinstance(value, list) else [value]


def _row(chat: Chat) -> dict[str, Any]:
    return {
        "session_id": chat.id,
        "title": chat.title,
        "created_at": shown_time(chat.created_at),
        "updated_at": shown_time(chat.updated_at),
    }
