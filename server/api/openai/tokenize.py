"""POST /tokenize and /detokenize: text to token ids and back, as vLLM's server has them. Nothing is generated or paid.

Both answer at the root too (server/api/paths.py).
"""

from dataclasses import replace
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.answers.completions import Text, Tokens
from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.chat_media import opening_of
from server.api.openai.chat_messages import MOST_MESSAGES, Message, engine_messages
from server.api.openai.chat_tools import ToolParam, tools_of
from server.api.openai.quality import ask_of
from server.api.openai.rendering_request import template_arguments
from server.api.openai.sampling_request import TokenId
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body
from server.core import ChatJob, CompletionJob, Detokenized, DetokenizeJob, Event, Tokenized, TokenizeJob
from server.errors import InternalError, InvalidRequest
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

MOST_IDS = 262_144
"""Token ids that are turned into text at once."""


class TokenizeRequest(Body):
    """A text, or a chat that is laid out by the model's template first.

    add_special_tokens: by default true for a text, and false for a chat, whose template writes what it needs.
    """

    model: str = Field(min_length=1)
    prompt: str | None = None
    messages: list[Message] | None = Field(None, min_length=1, max_length=MOST_MESSAGES)
    tools: list[ToolParam] = Field(default_factory=list, max_length=128)
    add_generation_prompt: bool | None = None
    continue_final_message: bool = False
    add_special_tokens: bool | None = None
    return_token_strs: bool = False
    chat_template: Any = None
    chat_template_kwargs: dict[str, Any] | None = None

    def job(self) -> TokenizeJob:
        """Raises InvalidRequest for what single fields can't tell."""
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequest("Send either prompt or messages.", param="prompt")
        if self.prompt is not None:
            text = CompletionJob(prompts=(self.prompt,), add_special_tokens=self.add_special_tokens is not False)
            return TokenizeJob(of=text, strings=self.return_token_strs)
        return TokenizeJob(of=self._chat(), strings=self.return_token_strs)

    def _chat(self) -> ChatJob:
        if self.chat_template is not None:
            raise InvalidRequest("A request can't bring its own chat template.", param="chat_template")
        if self.add_special_tokens:
            raise InvalidRequest(
                "A chat's template writes the special tokens that it needs; more can't be added.",
                param="add_special_tokens",
            )
        if self.continue_final_message and self.add_generation_prompt:
            raise InvalidRequest(
                "continue_final_message and add_generation_prompt can't both be true.", param="continue_final_message"
            )
        # Forced, the functions are laid out whether the model has a parser for free choices or not.
        tools, choice = tools_of(self.tools, "required" if self.tools else None)
        return ChatJob(
            messages=tuple(engine_messages(self.messages or ())),
            tools=tools,
            tool_choice=choice,
            chat_template_kwargs=template_arguments(self.chat_template_kwargs),
            continue_final_message=self.continue_final_message,
            add_generation_prompt=not self.continue_final_message and self.add_generation_prompt is not False,
        )


class DetokenizeRequest(Body):
    model: str = Field(min_length=1)
    tokens: list[TokenId] = Field(max_length=MOST_IDS)


@router.post("/tokenize")
@documented(
    body=TokenizeRequest,
    inference=True,
    answer=Tokens,
    examples={
        "the tokens of a text": {"model": "gpt-4o-mini", "prompt": "Hello there", "return_token_strs": True},
        "how long a chat is": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]},
    },
)
async def tokenize(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """The tokens of a text, or of a chat as the model's template lays it out. Nothing is generated or paid."""
    body = await read_json(request, TokenizeRequest, limit=settings.max_body)
    job = body.job()
    found, headers = await _answered(request, pipeline, body.model, job)
    if not isinstance(found, Tokenized):
        raise InternalError
    answer = {
        "count": len(found.ids),
        "max_model_len": found.context,
        "tokens": found.ids,
        "token_strs": found.strings,
    }
    return Response(orjson.dumps(answer), media_type="application/json", headers=headers)


@router.post("/detokenize")
@documented(
    body=DetokenizeRequest,
    inference=True,
    answer=Text,
    examples={"two tokens": {"model": "gpt-4o-mini", "tokens": [72, 105]}},
)
async def detokenize(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """The text of token ids, special tokens included."""
    body = await read_json(request, DetokenizeRequest, limit=settings.max_body)
    found, headers = await _answered(request, pipeline, body.model, DetokenizeJob(ids=tuple(body.tokens)))
    if not isinstance(found, Detokenized):
        raise InternalError
    return Response(orjson.dumps({"prompt": found.text}), media_type="application/json", headers=headers)


async def _answered(
    request: Request, pipeline: PipelineDep, model: str, job: TokenizeJob | DetokenizeJob
) -> tuple[Event | None, dict[str, str]]:
    ask = ask_of(request, pipeline.caller, model, quality=None)
    if isinstance(job, TokenizeJob) and isinstance(job.of, ChatJob):
        opening = opening_of(request, pipeline, ask, job.of, lambda chat: replace(job, of=chat))
    else:
        opening = pipeline.run(ask, job)
    async with opening as run:
        found = await while_connected(request, first_event(run))
    return found, run.headers


async def first_event(run: Run) -> Event | None:
    found = None
    async for event in run.events():
        found = found or event
    return found
