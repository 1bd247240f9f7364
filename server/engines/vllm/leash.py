"""How far vLLM's core may be ahead of who reads an answer.

The core can't pause one request: it generates to the end, and a collector joins what nobody has taken. So a request
that is too far ahead is taken out of the core; what was made of it is still delivered.
docs/decisions/018-slow-readers.md weighs the other ways.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from vllm.outputs import RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.output_processor import RequestOutputCollector

from server.errors import SlowReader

AHEAD = 4096
"""Tokens of all answers of a request together that may be made beyond those taken. The buffers of the connection come
before them, which hold hundreds of tokens more."""

LOOK = 0.5
"""Seconds between two looks: by so much more a request may be ahead. It costs nothing per token."""


class Leash:
    """Holds the collectors of one job's requests until it is closed. `cut` says that it has ended the requests.

    queues: as they are added. Each then has a last output, whose finish reason is "abort": see `without_abort`.
    """

    def __init__(self, llm: AsyncLLM, queues: Sequence[RequestOutputCollector], most: int = AHEAD) -> None:
        self.cut = False
        self._torn = False
        self._llm = llm
        self._queues = queues
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(LOOK, self.look)
        self._cutting: asyncio.Task[None] | None = None

    @property
    def unread(self) -> int:
        """Tokens that were made and not taken."""
        return sum(
            len(piece.token_ids)
            for queue in self._queues
            if isinstance(queue.output, RequestOutput)
            for piece in queue.output.outputs
        )

    def look(self) -> None:
        if self.unread > self._most:
            self.cut = True
            self._cutting = self._loop.create_task(self._cut(), name="end what nobody reads")
        else:
            self._timer = self._loop.call_later(LOOK, self.look)

    def without_abort(self, output: RequestOutput) -> RequestOutput:
        """What was made before the cut. The abort itself is no end of an answer; `check` says what is wrong."""
        for piece in output.outputs:
            if piece.finish_reason == "abort":
                piece.finish_reason = None
                self._torn = True
        return output

    def check(self) -> None:
        """All outputs are taken. Raises SlowReader where they are not the whole answer."""
        if self._torn:  # it may have come to its own end just before the cut
            raise SlowReader

    def close(self) -> None:
        self._timer.cancel()
        for queue in self._queues:
            queue.close()

    async def _cut(self) -> None:
        with contextlib.suppress(EngineDeadError):  # which the job's own wait raises
            await self._llm.abort([queue.request_id for queue in self._queues], internal=True)
