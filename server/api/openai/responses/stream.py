"""A response as it is made: one object at its end, or typed events with a gap-free `sequence_number` from 0.

Events and their order: the OpenAI API's streaming of responses. The one that names the type is repeated as the event's
`event:` line. There is no [DONE].
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from server.api.openai.responses.output import Added, Call, Change, Done, Grown, Message, Output, OutputItem, Reasoning
from server.api.openai.responses.response_object import ResponseObject
from server.api.openai.responses.turn import Turn
from server.api.openai.token_response import tokens_of
from server.api.sse import named_frame
from server.core import Usage
from server.errors import SageholdError
from server.pipeline.run import Run


def output_of(turn: Turn) -> Output:
    keeper = turn.keeper
    if keeper is None or not turn.body.seals_reasoning:
        return Output()
    return Output(partial(keeper.sealed, turn.account_id))


async def whole(run: Run, turn: Turn) -> bytes:
    """The response as one JSON object, kept where it is to be. Raises what the run and the keeper raise.

    It is kept before it is paid: one that can't be kept is an error, of which the client has nothing.
    """
    output, response = output_of(turn), ResponseObject(turn, run)
    ended: dict[str, Any] = {}

    async def keep(usage: Usage) -> None:
        output.end()
        ended.update(response.ended(output, usage))
        await turn.keep(ended)

    async for event in run.events(keep):
        output.add(event)
    return orjson.dumps(ended)


class ResponseStream:
    """The events of one response. An error after its beginning is one of them, and so is the failed response."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._output = output_of(turn)
        self._object: ResponseObject | None = None
        self._ended: dict[str, Any] | None = None
        self._queued = False
        self._number = 0
        self._growing: tuple[OutputItem, bytes] | None = None

    def queued(self) -> bytes:
        """What comes before `frames`, of a response that no client waits at."""
        self._queued = True
        pending = self.now()
        return self._event("response.created", response=pending) + self._event("response.queued", response=pending)

    def now(self) -> dict[str, Any]:
        """The response as far as it is."""
        if self._ended is not None:
            return self._ended
        if self._object is None:
            return ResponseObject(self._turn).pending("queued")
        return self._object.broken_off("in_progress", self._output)

    async def frames(self, run: Run) -> AsyncGenerator[bytes, None]:
        """The events as SSE frames, the last one after the response is kept. One that fails is kept as well.

        It is paid before it is kept: all of its words have gone to the client by then.
        """
        self._object = ResponseObject(self._turn, run)
        try:
            async for frames in self._frames(run, self._object):
                yield frames
        except SageholdError as error:
            if self._ended is None:
                with suppress(SageholdError):  # the first error is what the client is to see
                    await self._turn.keep(self._object.failed(self._output, error))
            raise

    async def _frames(self, run: Run, response: ResponseObject) -> AsyncGenerator[bytes, None]:
        pending = response.pending()
        created = b"" if self._queued else self._event("response.created", response=pending)
        yield created + self._event("response.in_progress", response=pending)
        usage = Usage()
        async for event in run.events():
            if isinstance(event, Usage):
                usage = event
                continue
            for change in self._output.add(event):
                yield self._change(change)
        for change in self._output.end():
            yield self._change(change)
        ended = self._ended = response.ended(self._output, usage)
        await self._turn.keep(ended)
        yield self._event(f"response.{ended['status']}", response=ended)

    def failed(self, error: SageholdError) -> bytes:
        """The last events of a stream that failed.

        `error` is what SDKs raise. Its fields stand in it as the OpenAI API's reference has them, and within `error` as
        its server and the Open Responses specification do.
        """
        said = {"code": error.code, "message": error.message, "param": error.param}
        frames = self._event("error", **said, error={"type": error.type, **said})
        if self._object is not None:
            frames += self._event("response.failed", response=self._object.failed(self._output, error))
        return frames

    def _change(self, change: Change) -> bytes:
        match change:
            case Grown():
                return self._delta(change)
            case Added(item):
                frames = self._event("response.output_item.added", output_index=item.index, item=item.as_begun())
                if not isinstance(item, Call):
                    frames += self._event("response.content_part.added", **_place(item), part=_begun_part(item))
                return frames
            case Done(item):
                return self._done(item)

    def _delta(self, change: Grown) -> bytes:
        """This runs once a token: all that stays the same is made once an item."""
        item = change.item
        if self._growing is None or self._growing[0] is not item:
            kind = _DELTAS[type(item)]
            head = orjson.dumps({"type": kind, **_place(item)})[:-1]
            self._growing = (item, b"event: " + kind.encode() + b"\ndata: " + head + b',"sequence_number":')
        number, self._number = self._number, self._number + 1
        if not isinstance(item, Message):
            return b'%b%d,"delta":%b}\n\n' % (self._growing[1], number, orjson.dumps(change.piece))
        logprobs = orjson.dumps(tokens_of(change.logprobs)) if change.logprobs else b"[]"
        return b'%b%d,"delta":%b,"logprobs":%b}\n\n' % (
            self._growing[1],
            number,
            orjson.dumps(change.piece),
            logprobs,
        )

    def _done(self, item: OutputItem) -> bytes:
        place = _place(item)
        if isinstance(item, Call):
            frames = self._event("response.function_call_arguments.done", **place, name=item.name, arguments=item.text)
        else:
            part = item.part()
            if isinstance(item, Message):
                frames = self._event("response.output_text.done", **place, text=part["text"], logprobs=part["logprobs"])
            else:
                frames = self._event("response.reasoning_text.done", **place, text=part["text"])
            frames += self._event("response.content_part.done", **place, part=part)
        return frames + self._event("response.output_item.done", output_index=item.index, item=item.as_json())

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return named_frame(kind, {"type": kind, "sequence_number": number, **fields})


_DELTAS = {
    Message: "response.output_text.delta",
    Reasoning: "response.reasoning_text.delta",
    Call: "response.function_call_arguments.delta",
}


def _place(item: OutputItem) -> dict[str, Any]:
    place = {"item_id": item.id, "output_index": item.index}
    return place if isinstance(item, Call) else {**place, "content_index": 0}


def _begun_part(item: OutputItem) -> dict[str, Any]:
    if isinstance(item, Message):
        return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    return {"type": "reasoning_text", "text": ""}
