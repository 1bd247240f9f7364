"""vLLM's processes under watch: its cores, their workers, and the server process that they are forked from."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from server.engines.pulse import Patience, Sign
from server.engines.vllm import forkserver
from server.engines.watch import Watch
from server.errors import EngineFailed, EngineHung

log = logging.getLogger(__name__)


class Heartbeat:
    """One engine's. A core answers a ping between two steps: a step without end is a ping without answer.

    name: of the model. roots: process ids of the cores. llm: the AsyncLLM once it is loaded, and None before.
    """

    def __init__(
        self, name: str, roots: Callable[[], Iterable[int]], llm: Callable[[], Any], patience: Patience
    ) -> None:
        self._name = name
        self._llm = llm
        self._asked: asyncio.Task[None] | None = None
        self._answers = 0
        self._watches = (
            Watch(f"model {name}", roots, patience=patience, ping=self._ping, sign=self._sign),
            # While it is stopped, no core starts, and nobody learns of a core's end. With it, its cores end.
            Watch("vLLM's fork server", forkserver.pids, patience=patience, alone=True),
        )

    def start(self) -> None:
        for watch in self._watches:
            watch.start()

    async def stop(self) -> None:
        """Safe to call twice."""
        for watch in self._watches:
            await watch.stop()
        if self._asked is not None:
            self._asked.cancel()

    @property
    def hung(self) -> bool:
        """Whether processes were ended since they hung."""
        return any(watch.hung for watch in self._watches)

    def failure(self) -> EngineFailed:
        """What became of the requests in flight, once they can't be finished."""
        return EngineHung() if self.hung else EngineFailed()

    def _ping(self) -> None:
        llm = self._llm()
        if llm is not None and self._asked is None:
            self._asked = asyncio.create_task(self._ask(llm), name=f"ping {self._name}")

    async def _ask(self, llm: Any) -> None:
        from server.engines.vllm import releases

        try:
            await releases.between_steps(llm)
        except Exception as error:  # noqa: BLE001 - it died meanwhile, which is noticed elsewhere
            log.debug("%s: no answer to a ping: %s", self._name, error)
        self._answers += 1
        self._asked = None

    def _sign(self) -> Sign:
        return Sign(step=None if self._llm() is None else self._answers)
