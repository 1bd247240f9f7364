"""The models in memory: leases them out, loads and wakes them, watches over them, and ends them.

Each model has a slot (`slot.py`) that decides about its state; memory is the ledger's (`memory.py`); who gives way
to whom is decided in `eviction.py`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from server.core import Task
from server.engines.base import Caching, Engine, Footprint, PrefixCache, Sleeper
from server.errors import ModelUnavailable, SageholdError
from server.models import probe, weights
from server.models.estimate import Need, estimate
from server.models.memory import Grant, MemoryLedger
from server.models.room import Room
from server.models.slot import Slot, State
from server.models.spec import ModelSpec

log = logging.getLogger(__name__)

MakeEngine = Callable[[ModelSpec, Grant], Engine]


@dataclass(frozen=True, slots=True)
class ModelState:
    """What /v1/models, /ready and the metrics tell of a model. `reason` says why it failed."""

    state: State
    reason: str | None
    eager: bool
    running: int
    waiting: int
    held: Footprint
    prefix_cache: PrefixCache | None  # None where the engine has none, or isn't loaded


class Registry:
    """Invariant: a model's bytes are in the ledger from before its engine starts until after it has stopped."""

    def __init__(
        self,
        models: Iterable[ModelSpec],
        make_engine: MakeEngine,
        ledger: MemoryLedger,
        *,
        models_dir: Path,
        queue_timeout: float = 60.0,
        load_timeout: float = 900.0,
        watch_interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_engine = make_engine
        self._ledger = ledger
        self._models_dir = models_dir
        self._queue_timeout = queue_timeout
        self._load_timeout = load_timeout
        self._watch_interval = watch_interval
        self._slots: dict[str, Slot] = {}
        self._room = Room(ledger, self._slots, elastic=self._elastic)
        self._needs: dict[str, Need] = {}
        self._awake_gpu: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for spec in models:
            self._slots[spec.name] = Slot(spec, self, clock=clock, on_idle=self._room.changed)

    # ------------------------------------------------------------ for requests

    @asynccontextmanager
    async def lease(self, spec: ModelSpec) -> AsyncGenerator[Engine, None]:
        """The model's engine, loaded, awake and kept so for the length of the block.

        Raises Overloaded (too many wait, or the wait is over) or ModelUnavailable (it can't be loaded).
        """
        # A load that is under way ends by itself: it gets its room within the one time, and is up within the other.
        load_wait = self._queue_timeout + self._load_timeout
        async with self._slots[spec.name].lease(self._queue_timeout, load_wait) as engine:
            yield engine

    def busy(self, spec: ModelSpec) -> float:
        """Requests that have the model or wait for it, as a share of those that it works on at once."""
        slot = self._slots[spec.name]
        return (slot.leases + slot.waiting) / spec.parallel

    # ------------------------------------------------------------ for people

    def states(self) -> Mapping[str, ModelState]:
        """Every model by its own name, in the order of the configs."""
        return {
            name: ModelState(
                state=slot.state,
                reason=slot.reason,
                eager=slot.spec.load == "eager",
                running=slot.engine.running if slot.engine else 0,
                waiting=slot.waiting,
                held=self._ledger.held.get(name, Footprint()),
                prefix_cache=slot.engine.prefix_cache() if isinstance(slot.engine, Caching) else None,
            )
            for name, slot in self._slots.items()
        }

    @property
    def ready(self) -> bool:
        """Whether every eager model can answer: it is loaded, asleep, or was loaded and has made room since.

        A server without a single model is never ready: it can answer nothing.
        """
        return bool(self._slots) and all(
            slot.state in (State.READY, State.ASLEEP, State.DRAINING)
            or (slot.state is State.UNLOADED and slot.was_ready)
            for slot in self._slots.values()
            if slot.spec.load == "eager"
        )

    def running(self) -> Mapping[str, int]:
        """Jobs in flight inside each loaded engine, by the engines' own counts."""
        return {name: slot.engine.running for name, slot in self._slots.items() if slot.engine is not None}

    def engine(self, name: str) -> Engine | None:
        """The loaded engine of a model, for operators and fault tests; requests take a lease."""
        return self._slots[name].engine

    # ------------------------------------------------------------ start and end

    async def start(self) -> None:
        """Begin to load the eager models in the background, and to watch over all; returns at once.

        Chat begins first, since it takes longest; the others load one after another beside it.
        """
        eager = [slot for slot in self._slots.values() if slot.spec.load == "eager"]
        chat = [slot for slot in eager if slot.spec.task is Task.CHAT]
        others = [slot for slot in eager if slot.spec.task is not Task.CHAT]
        self._spawn(self._load_all(chat, others), "load models")
        self._spawn(self._watch(), "watch models")

    async def stop(self, grace: float = 5.0) -> None:
        """Give requests in flight `grace` seconds, then stop all engines and wait until they are gone."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(slot.aclose(grace) for slot in self._slots.values()))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _load_all(self, *lines: list[Slot]) -> None:
        self._room.pin_eager = True
        try:
            await asyncio.gather(*(self._load_line(line) for line in lines))
        finally:
            self._room.pin_eager = False

    async def _load_line(self, slots: list[Slot]) -> None:
        for slot in slots:
            await self._load_quietly(slot)

    async def _load_quietly(self, slot: Slot) -> None:
        try:
            await slot.ensure_ready()
        except SageholdError as error:
            # The slot keeps and logs the reason of a failure; what passes (no room just now) is only noted here.
            log.info("model %s is not loaded: %s", slot.spec.name, error.message)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_interval)
            try:
                await self.check()
            except Exception:
                # One engine that breaks while it is cleaned up must not leave the others unwatched.
                log.exception("the watchdog met an error")

    async def check(self) -> None:
        """One look of the watchdog: bury engines that died, begin to reload eager models that failed and are due."""
        for slot in self._slots.values():
            if await slot.tend() and slot.spec.load == "eager":
                self._spawn(self._load_quietly(slot), f"reload {slot.spec.name}")

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the task %r broke", task.get_name(), exc_info=error)

    # ------------------------------------------------------------ what the slots need done (see slot.Loader)

    async def load(self, spec: ModelSpec) -> Engine:
        if gone := await asyncio.to_thread(weights.missing, spec, self._models_dir):
            log.error("model %s: %s is missing; bring it by: %s", spec.name, gone[0], spec.fetch or "(no `fetch`)")
            raise ModelUnavailable(f"The model's file {gone[0].name} is missing.")
        need = await self._need(spec)
        grant = await self._room.reserve(spec.name, need, wait=self._queue_timeout)
        engine: Engine | None = None
        try:
            # Importing an engine's library takes seconds.
            engine = await asyncio.to_thread(self._make_engine, spec, grant)
            await self._bring_up(spec, engine, engine.start)
        except BaseException:
            if engine is not None:
                await engine.stop()
            self._ledger.release(spec.name)
            raise
        return engine

    async def wake(self, spec: ModelSpec, engine: Engine) -> None:
        assert isinstance(engine, Sleeper)
        asleep = self._ledger.held.get(spec.name, Footprint())
        # It comes back as large as it was granted at first, however little it would need.
        await self._room.reserve(spec.name, Need(asleep.host, self._awake_gpu[spec.name]), wait=self._queue_timeout)
        await self._bring_up(spec, engine, engine.wake)

    async def sleep(self, spec: ModelSpec, engine: Engine) -> None:
        assert isinstance(engine, Sleeper)
        before = self._ledger.held.get(spec.name, Footprint())
        try:
            async with asyncio.timeout(self._load_timeout):
                await engine.sleep()
        except TimeoutError:
            raise ModelUnavailable("The model did not go to sleep.") from None
        self._awake_gpu[spec.name] = before.gpu
        self._ledger.slept(spec.name, await asyncio.to_thread(engine.footprint))

    async def unload(self, spec: ModelSpec, engine: Engine) -> None:
        await engine.stop()
        self._ledger.release(spec.name)

    async def _bring_up(self, spec: ModelSpec, engine: Engine, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start or wake, probe, and put into the ledger what it really took."""
        try:
            async with asyncio.timeout(self._load_timeout):
                await begin()
                await probe.check(spec, engine, weights.location(spec, self._models_dir))
        except TimeoutError:
            raise ModelUnavailable(f"Loading the model took longer than {self._load_timeout:g} s.") from None
        self._ledger.correct(spec.name, await asyncio.to_thread(engine.footprint))

    async def _need(self, spec: ModelSpec) -> Need:
        if spec.name not in self._needs:
            self._needs[spec.name] = await asyncio.to_thread(estimate, spec, self._models_dir, self._ledger.machine)
        return self._needs[spec.name]

    def _elastic(self, name: str) -> tuple[int, int]:
        """See room.Elastic: eager models that are not in the ledger yet keep their part of the GPU."""
        coming = [
            self._needs[other] if other in self._needs else estimate(slot.spec, self._models_dir, self._ledger.machine)
            for other, slot in self._slots.items()
            if other != name and slot.spec.load == "eager" and other not in self._ledger.held and not slot.was_ready
        ]
        return sum(need.gpu for need in coming), 1 + sum(need.elastic for need in coming)
