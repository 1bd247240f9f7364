"""The opening of a response's run: what is refused there is named in the words of this API."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType

from server.api.openai.responses.layout import Layout
from server.errors import SageholdError
from server.pipeline.run import Run


class OpeningResponse:
    """As `opening`, with the params of what is refused renamed."""

    def __init__(self, opening: AbstractAsyncContextManager[Run], layout: Layout) -> None:
        self._opening = opening
        self._layout = layout

    async def __aenter__(self) -> Run:
        with self._layout.renaming():
            return await self._opening.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SageholdError):
            self._layout.renamed(error)
        await self._opening.__aexit__(kind, error, trace)
