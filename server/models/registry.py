"""The models in memory: leases them out, loads and wakes them, watches over them, and ends them.

Each model has a slot (`slot.py`) that decides about its state, and has it done by `loader.py`; memory is the ledger's
(`memory/`), and so is on which GPUs a model goes and who gives way to whom.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from server.core import Claim, Task
from server.engines.base import Engine, Footprint
from server.errors import ModelNotFound, SageholdError
from server.models import probe
from server.models.changes import Changes
from server.models.config import weights
from server.models.config.spec import ModelSpec
from server.models.loader import MakeEngine, ModelLoader
from server.models.memory.asking import Asking
from server.models.memory.books import MemoryBooks
from server.models.memory.estimate import front_end as front_end_plan
from server.models.memory.ledger import FRONT_END, MemoryLedger
from server.models.queue_counts import QueueCounts
from server.models.slot import Begun, Slot, State
from server.models.standing import Loading, Phase, Standing

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = logging.getLogger(__name__)

HANDED_OVER = 0.02
"""Seconds between two looks at whether the loads of a start still need this process."""
WAITS = 1.0
"""Seconds from which a load that looks as if it waited for memory, or for its turn, does wait."""
LOOK_AGAIN = 15.0
"""Seconds between two looks at what the front end and idle engines hold: each walks through the system's processes."""

FrontEnd = Callable[[Collection[int]], int]
"""Bytes of host memory of this process and its helpers, without the engines, whose process ids it gets. Blocking."""


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
        watch_interval: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
        front_end: FrontEnd | None = None,
        asking: Asking | None = None,
        reserve: bool = True,
    ) -> None:
        """reserve: whether an account leaves places of a model to others even while there are none."""
        self._ledger = ledger
        self._queue_timeout = queue_timeout
        # A load that is under way gets its room within the one time, and is up within the other.
        self._load_wait = queue_timeout + load_timeout
        self._watch_interval = watch_interval
        self._models_dir = models_dir
        self._clock = clock
        self._front_end = front_end
        self._front_end_plan = 0
        self._front_end_reported: int | None = None
        self._slots: dict[str, Slot] = {}
        self._loader = ModelLoader(
            make_engine,
            ledger,
            self._slots,
            models_dir=models_dir,
            queue_timeout=queue_timeout,
            load_timeout=load_timeout,
            asking=asking,
        )
        self._booking = self._loader.booking
        self._looked: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.queue_counts = QueueCounts()
        """Waits and refusals so far, for the metrics."""
        for spec in models:
            self._slots[spec.name] = Slot(
                spec,
                self._loader,
                clock=clock,
                on_idle=self._loader.room.changed,
                counts=self.queue_counts,
                reserve=reserve,
            )
        self.queue_counts.queues = lambda: {name: slot.queue for name, slot in self._slots.items()}
        if front_end is not None:
            self._front_end_plan = front_end_plan(slot.spec for slot in self._slots.values())

    # ------------------------------------------------------------ for requests

    def lease(self, spec: ModelSpec, claim: Claim) -> AbstractAsyncContextManager[Engine]:
        """The model's engine, loaded, awake and kept so for the length of the block.

        Raises RateLimited (too many of this account wait), Overloaded (too many wait, or the wait is over) or
        ModelUnavailable (it can't be loaded).
        """
        return self._slots[spec.name].lease(claim, self._queue_timeout, self._load_wait)

    def took(self, spec: ModelSpec, claim: Claim, work: float) -> None:
        """A request that has a lease on the model has taken this much, in the unit of `Claim.size`."""
        self._slots[spec.name].queue.took(claim, work)

    def busy(self, spec: ModelSpec) -> float:
        """Answers that the model makes and requests that wait for it, as a share of what it works on at once."""
        return self._slots[spec.name].queue.load

    # ------------------------------------------------------------ for people

    def states(self) -> Mapping[str, Standing]:
        """Every model by its own name, in the order of the configs."""
        return {
            name: Standing(
                state=slot.state,
                reason=slot.reason,
                refusal=slot.refusal,
                eager=slot.spec.load == "eager",
                running=slot.engine.running if slot.engine else 0,
                waiting=slot.waiting,
                # The queue takes an engine's measure with its first request.
                places=slot.queue.places if slot.engine is None else slot.engine.places or slot.spec.parallel,
                held=self._ledger.held.get(name, Footprint()),
                reported=self._booking.reported.get(name, Footprint()),
                prefix_cache=slot.engine.prefix_cache() if slot.engine else None,
                context=slot.engine.context if slot.engine else None,
                loading=self._loading(name, slot),
            )
            for name, slot in self._slots.items()
        }

    def _loading(self, name: str, slot: Slot) -> Loading | None:
        if (seconds := slot.loading_for) is None:
            return None
        return Loading(self._loader.phases.get(name, Phase.FILES), seconds)

    @property
    def changes(self) -> Changes:
        """Loads, wakes and evictions so far, for the metrics."""
        return self._loader.changes

    def memory(self) -> MemoryBooks:
        """The books, as they are now."""
        reported = dict(self._booking.reported)
        if self._front_end_reported is not None:
            reported[FRONT_END] = Footprint(self._front_end_reported)
        return MemoryBooks(self._ledger.budget, dict(self._ledger.held), reported)

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

    def engine_metrics(self) -> Iterable[Iterable["Metric"]]:
        """Each loaded engine's own, for /metrics."""
        return [slot.engine.metrics() for slot in self._slots.values() if slot.engine is not None]

    def engine(self, name: str) -> Engine | None:
        """The loaded engine of a model, for operators and fault tests; requests take a lease."""
        return self._slots[name].engine

    # ------------------------------------------------------------ what operators do

    def begin_load(self, name: str) -> Begun:
        """See Slot.begin_load. Raises ModelNotFound too."""
        return self._slot(name).begin_load()

    def begin_unload(self, name: str, grace: float | None = None) -> Begun:
        """See Slot.begin_unload. Raises ModelNotFound too."""
        return self._slot(name).begin_unload(grace)

    async def probe(self, name: str, claim: Claim) -> probe.Report:
        """Run the model's probe, as after a load, in turn with its requests. It changes nothing, whatever comes out.

        Raises ModelNotFound, Conflict where the model is not loaded, Overloaded, RateLimited.
        """
        slot = self._slot(name)
        async with slot.lease_loaded(claim, self._queue_timeout) as engine:
            folder = await asyncio.to_thread(weights.location, slot.spec, self._models_dir)
            return await probe.examine(slot.spec, engine, folder)

    def _slot(self, name: str) -> Slot:
        if name not in self._slots:
            raise ModelNotFound.named(name)
        return self._slots[name]

    # ------------------------------------------------------------ start and end

    async def start(self) -> None:
        """Begin to load the eager models in the background, and to watch over all; returns at once.

        Chat begins first, since it takes longest; the others load one after another beside it.
        """
        eager = [slot for slot in self._slots.values() if slot.spec.load == "eager"]
        chat = [slot for slot in eager if Task.CHAT in slot.spec.tasks]
        others = [slot for slot in eager if Task.CHAT not in slot.spec.tasks]
        await self._look_again()
        self._spawn(self._load_all(chat, others), "load models")
        self._spawn(self._watch(), "watch models")

    async def handed_over(self, within: float) -> None:
        """Return when the loads that `start` began go on in other processes, have ended, or wait for other models;
        after `within` seconds at the latest.

        vLLM's imports and its configuration take this process's interpreter for seconds, and nothing that could be done
        beside them makes up for the time by which its core begins later.
        """
        loop = asyncio.get_running_loop()
        busy = loop.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._imports_here():
                    if not self._waits():
                        busy = loop.time()
                    elif loop.time() - busy >= WAITS:
                        return
                    await asyncio.sleep(HANDED_OVER)

    def _waits(self) -> bool:
        """Whether the chat models that are loaded now look as if they waited for memory, or for their turn."""
        chats = [slot for slot in self._slots.values() if Task.CHAT in slot.spec.tasks and slot.loading_for is not None]
        waiting = (Phase.MEMORY, Phase.TURN)
        return bool(chats) and all(self._loader.phases.get(slot.spec.name) in waiting for slot in chats)

    def _imports_here(self) -> bool:
        """Whether the chat model whose turn it is has not come to its own processes yet."""
        for slot in self._slots.values():
            if slot.spec.load != "eager" or Task.CHAT not in slot.spec.tasks:
                continue
            if slot.loading_for is not None:
                engine = self._loader.starting.get(slot.spec.name)
                return engine is None or not engine.apart
            if slot.state is State.UNLOADED and slot.refusal is None and not slot.was_ready:
                return True  # its load has yet to begin
        return False

    async def stop(self, grace: float = 5.0, within: float | None = None) -> None:
        """Give requests in flight `grace` seconds, then stop all engines and wait until they are gone.

        within: seconds after which an engine that does not stop is left; it ends with this process.
        """
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if not self._slots:
            return
        closing = {asyncio.create_task(slot.aclose(grace)): name for name, slot in self._slots.items()}
        closed, left = await asyncio.wait(closing, timeout=within)
        for task in closed:
            if error := task.exception():
                log.error("model %s: stopping it broke", closing[task], exc_info=error)
        for task in left:
            log.warning("model %s does not stop; it ends with the server", closing[task])

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _load_all(self, *lines: list[Slot]) -> None:
        self._loader.room.pin_eager = True
        try:
            await asyncio.gather(*(self._load_line(line) for line in lines))
        finally:
            self._loader.room.pin_eager = False
            self._loader.room.changed()

    async def _load_line(self, slots: list[Slot]) -> None:
        for slot in slots:
            await self._load_quietly(slot)

    async def _load_quietly(self, slot: Slot) -> None:
        try:
            async with asyncio.timeout(self._load_wait):
                await slot.ensure_ready()
        except TimeoutError:
            # Its files can't be read, say. The load goes on, and those behind it in its line need not wait for it.
            log.error("model %s: its load has not ended after %g s", slot.spec.name, self._load_wait)
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
        # At the same time: one whose processes take long to end keeps no other waiting for its replacement.
        await asyncio.gather(*(self._tend(slot) for slot in self._slots.values()))
        if self._looked is None or self._clock() - self._looked >= LOOK_AGAIN:
            await self._look_again()

    async def _tend(self, slot: Slot) -> None:
        if await slot.tend() and slot.spec.load == "eager":
            self._spawn(self._load_quietly(slot), f"reload {slot.spec.name}")

    async def _look_again(self) -> None:
        """Put what the front end holds into the ledger, and see what the engines hold."""
        slots = self._slots.values()
        if any(slot.changing for slot in slots):
            return  # an engine that comes or goes would be taken for the front end
        self._looked = self._clock()
        engines = {slot.spec.name: slot.engine for slot in slots if slot.engine is not None}
        if self._front_end is not None:
            pids = {pid for engine in engines.values() for pid in engine.pids}
            measured = partial(self._front_end, pids)
            self._front_end_reported = await self._loader.asking.ask(measured, self._front_end_reported)
            # What chat models need imported is imported with the first of them.
            host = max(self._front_end_reported or 0, self._front_end_plan)
            self._ledger.hold(FRONT_END, Footprint(host), instead_of=self._ledger.held.get(FRONT_END))
        for name, engine in engines.items():
            await self._booking.look_again(name, engine)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the task %r broke", task.get_name(), exc_info=error)
