"""/server/query, /query_with_file and /query_stream: a question, and an answer that names what it draws on."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.api.answers.asksage import Completion
from server.api.asksage import body as bodies
from server.api.asksage.answering import Answering, empty
from server.api.asksage.attachments import Attached, read_attached
from server.api.asksage.dialect import SEPARATOR, answered, packed
from server.api.asksage.grounding import Grounds, Question, grounds_of, question_of
from server.api.asksage.model_names import context_of, resolved
from server.api.asksage.plugin_templates import without_tag
from server.api.asksage.query_request import QueryBody
from server.api.body import Upload
from server.api.context import record_of
from server.api.deps import PipelineDep, ServicesDep
from server.api.errors import note_refusal
from server.api.lifetime import while_connected
from server.api.openai.chat_media import has_media, resolve_media
from server.api.openai.quality import ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.api.sse import SseResponse
from server.core import Ask, Task
from server.errors import InvalidRequest, ModelNotFound
from server.observability.tracing import stage

router = APIRouter(route_class=PlainRoute)

Q = TypeVar("Q", bound=QueryBody)

STREAMED = "text/plain; charset=utf-8"
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "a question": {"message": "What is the capital of Japan?", "model": "openai_gpt"},
    "OpenAI's messages with what is Ask Sage's": {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Tell me about renewable energy."}],
        "persona": 1,
        "limit_references": 5,
        "live": 1,
        "temperature": 0.7,
    },
    "a conversation without datasets": {
        "model": "gpt-4o-mini",
        "message": [
            {"user": "me", "message": "Hello"},
            {"user": "gpt", "message": "Hello. How can I help?"},
            {"user": "me", "message": "Name a colour."},
        ],
        "dataset": "none",
        "usage": True,
    },
}


@dataclass(frozen=True, slots=True)
class Asking:
    """A request that asks, and what it needs."""

    request: Request
    pipeline: RequestPipeline
    services: Services

    async def received(self, schema: type[Q]) -> tuple[Q, tuple[Upload, ...]]:
        """The body and its files."""
        settings = self.services.settings
        found = await bodies.read(
            self.request, schema, limit=settings.max_body, file_limit=settings.max_upload, task=Task.CHAT
        )
        return found.body, found.files

    async def answer(
        self, body: QueryBody, messages: Sequence[Mapping[str, Any]], files: Sequence[Upload] = (), *, streamed: bool
    ) -> Response:
        """The answer to the last of the messages. Raises all that deserves a status."""
        body.functions()  # what is wrong in the request is told before anything is searched for
        try:
            opening = self._opened(body, messages, files, streamed)
            if streamed:
                return _Stream(self, opening)
            async with opening as answering:
                await while_connected(self.request, answering.finish())
        except ModelNotFound as error:
            return answered(self.unavailable(error))
        await self.note(answering)
        return answered(answering.whole(), answering.headers)

    async def note(self, answering: Answering) -> None:
        """In the account's log, so that the answer can be voted down."""
        knowledge, said = self.services.knowledge, answering.said
        if knowledge is not None:
            await knowledge.users.asked(
                self.pipeline.caller,
                ip=record_of(self.request.scope).client,
                model=answering.model,
                prompt=question_of(answering.question.messages),
                completion="".join(said.text),
                prompt_tokens=said.usage.prompt_tokens,
                completion_tokens=said.usage.completion_tokens,
                total_tokens=said.usage.total_tokens,
                uuid=answering.uuid,
            )

    @asynccontextmanager
    async def _opened(
        self, body: QueryBody, messages: Sequence[Mapping[str, Any]], files: Sequence[Upload], streamed: bool
    ) -> AsyncGenerator[Answering, None]:
        """One request, whatever else it takes: recordings are heard, the question is embedded."""
        services, caller = self.services, self.pipeline.caller
        name = resolved(services, caller, body.model)
        ask = ask_of(self.request, caller, name, quality=body.quality, streamed=streamed)
        job, _, _ = Question(body, messages, Attached(), Grounds("")).job(0.0, None)
        with _named_as_sent(messages):
            async with (
                self.pipeline.admitted(ask, job),
                await self._prepared(ask, name, body, messages, files) as answering,
            ):
                yield answering

    async def _prepared(
        self,
        ask: Ask,
        name: str,
        body: QueryBody,
        messages: Sequence[Mapping[str, Any]],
        files: Sequence[Upload],
    ) -> Answering:
        request, services, caller = self.request, self.services, self.pipeline.caller
        settings = services.settings
        # First: what is asked of a dataset that is not there has no recording heard.
        grounds = await while_connected(request, grounds_of(services, caller, body, messages))
        with stage("files"):
            attached = await read_attached(request, self.pipeline, services, files)
        echo = f"{attached.echo}\n\n" if attached.pages and settings.asksage_echo_files else ""
        filed = bool(attached.pages)
        pictured = attached.put(messages) if attached.pictures else messages
        if has_media(pictured):
            # Checked, and fetched where they are URLs; the files' pictures too.
            messages = await while_connected(request, resolve_media(pictured, services, caller))
            if attached.pictures:
                attached = type(attached)()  # all of it is in the messages now
        question = Question(body, messages, attached, grounds, filed)
        return Answering(self.pipeline, ask, question, model=body.model, context=context_of(services, name), echo=echo)

    def unavailable(self, error: ModelNotFound) -> dict[str, Any]:
        """As the service says it: an answer that explains. Raises the error where the status is strict."""
        if self.services.settings.asksage_strict_status:
            raise error
        note_refusal(self.request.scope, error)
        record_of(self.request.scope).refused = error.status
        nothing = dict.fromkeys(("usage", "tool_calls", "tool_calls_unified", "tool_responses"))
        return empty() | nothing | {"message": error.message, "type": "teach", "error": error.code}


@contextmanager
def _named_as_sent(messages: Sequence[Mapping[str, Any]]) -> Generator[None]:
    """What is wrong with a picture that came as a file is wrong with the part `file`: whoever sent it wrote no message
    with a picture. messages: as they were sent.
    """
    try:
        yield
    except InvalidRequest as error:
        parts = [part for message in messages if not isinstance(message["content"], str) for part in message["content"]]
        if "image_url" in (error.param or "") and all(part.get("type") != "image_url" for part in parts):
            error.param = "file"
        raise


def _newline(progress: str) -> bytes:  # noqa: ARG001 - SseResponse says what is being done
    return b"\n"


class _Stream(SseResponse[Answering]):
    """Objects with the text so far, each followed by the separator; the last one is the whole answer, or the error.

    A silence is broken by a newline, which is nothing before an object of JSON: the service's own streams are not known
    to have comments.
    """

    def __init__(self, asking: Asking, opening: AbstractAsyncContextManager[Answering]) -> None:
        super().__init__(opening, partial(_pieces, asking), media_type=STREAMED, comment=_newline)
        self._asking = asking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ModelNotFound as error:  # found before anything was sent
            explained = packed(self._asking.unavailable(error)) + SEPARATOR
            await Response(explained, media_type=STREAMED)(scope, receive, send)


async def _pieces(asking: Asking, answering: Answering) -> AsyncGenerator[bytes, None]:
    """Objects with the text so far, each followed by the separator; the last one is the whole answer.

    The next one is sent when there is a sixteenth more to say, so that all of them together are no more than some
    seventeen times as long as the answer.
    """
    shown = said = 0
    async for event in answering.run.events():
        if not answering.said.add(event):
            continue
        said += len(answering.said.text[-1])
        if said > shown + shown // 16:
            shown = said
            partial_answer = {
                "message": "".join(answering.said.text),
                "response": "OK",
                "status": 200,
                "type": "partial",
                "uuid": answering.uuid,
            }
            yield packed(partial_answer) + SEPARATOR
    await asking.note(answering)
    yield packed(answering.whole()) + SEPARATOR


async def _query(request: Request, pipeline: PipelineDep, services: ServicesDep, *, streamed: bool = False) -> Response:
    asking = Asking(request, pipeline, services)
    body, files = await asking.received(QueryBody)
    messages = [*body.conversation()]
    if isinstance(messages[-1]["content"], str):
        messages[-1] = {**messages[-1], "content": without_tag(messages[-1]["content"])}
    return await asking.answer(body, messages, files, streamed=streamed or body.streaming)


@router.post("/query")
@documented(
    body=QueryBody,
    form=QueryBody,
    files={"file": False},
    inference=True,
    answer=Completion,
    media=("text/plain",),
    examples=EXAMPLES,
)
async def query(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """An answer that may draw on datasets and on live search, and names what it draws on."""
    return await _query(request, pipeline, services)


@router.post("/query_with_file")
@documented(
    body=QueryBody,
    form=QueryBody,
    files={"file": False},
    inference=True,
    answer=Completion,
    media=("text/plain",),
    examples=EXAMPLES,
)
async def query_with_file(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """The same as /server/query, by the name that documents give it for questions with files."""
    return await _query(request, pipeline, services)


@router.post("/query_stream")
@documented(
    body=QueryBody,
    form=QueryBody,
    files={"file": False},
    inference=True,
    media=("text/plain",),
    examples=EXAMPLES,
)
async def query_stream(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """The answer as it grows: JSON objects, each followed by `@|@sep@|@`, the last of which is the whole answer."""
    return await _query(request, pipeline, services, streamed=True)
