"""The serving path as one request sees it: the only way in which routes open a run."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType

from starlette.requests import Request

from server.api.context import record_of
from server.api.lifetime import while_receiving
from server.core import Ask, Caller, Job
from server.observability.tracing import received
from server.pipeline.run import Pipeline, Run


class RequestPipeline:
    """Binds a request and its caller to the pipeline.

    A run is opened by `async with` and in no other way. So nothing can come between its opening and whoever closes it:
    its lease and its hold end with the block, whatever happens in it.
    """

    def __init__(self, pipeline: Pipeline, request: Request, caller: Caller) -> None:
        self.caller = caller
        self._pipeline = pipeline
        self._request = request

    @asynccontextmanager
    async def admitted(self, ask: Ask, job: Job) -> AsyncGenerator[None, None]:
        """See `Pipeline.admitted`: runs in the block are parts of one request. Each has an id of its own."""
        record_of(self._request.scope).asked_model = ask.model
        received()
        async with self._pipeline.admitted(ask, job):
            yield

    def run(self, ask: Ask, job: Job) -> "OpeningRun":
        """A run that is opened by `async with`. The request's body must have been read before.

        Entering raises what `Pipeline.open` raises, and HungUp if the client leaves while it waits.
        """
        return OpeningRun(self._pipeline, self._request, ask, job)


class OpeningRun:
    """A run that holds nothing before its block is entered, and nothing after it is left."""

    def __init__(self, pipeline: Pipeline, request: Request, ask: Ask, job: Job) -> None:
        self._pipeline = pipeline
        self._request = request
        self._ask = ask
        self._job = job
        self._run: Run | None = None

    async def __aenter__(self) -> Run:
        record = record_of(self._request.scope)
        record.asked_model = self._ask.model
        received()
        run = self._run = await while_receiving(self._request.receive, self._pipeline.open(self._ask, self._job))
        record.run = run  # for the log line and the metrics, as the model is
        record.model = run.plan.spec.name
        return run

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            await self._run.__aexit__(kind, error, trace)
