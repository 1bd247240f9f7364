"""Loads, wakes, puts to sleep and ends engines, with their memory in the ledger: what a slot has done to its model."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from server.engines.base import Engine, Footprint
from server.errors import ModelUnavailable
from server.models import probe
from server.models.changes import Change, Changes
from server.models.config import weights
from server.models.config.spec import ModelSpec
from server.models.memory.allotment import Allotment
from server.models.memory.asking import Asking
from server.models.memory.booking import Booking
from server.models.memory.ledger import MemoryLedger
from server.models.memory.need import Need
from server.models.memory.needs import Needs
from server.models.memory.room import Room, asleep
from server.models.memory.turns import Turns
from server.models.slot import Slot
from server.models.standing import Phase

log = logging.getLogger(__name__)

MakeEngine = Callable[[ModelSpec, Allotment], Engine]


class ModelLoader:
    """The Loader of all slots. slots: by the models' names; they are added after this is made."""

    def __init__(
        self,
        make_engine: MakeEngine,
        ledger: MemoryLedger,
        slots: Mapping[str, Slot],
        *,
        models_dir: Path,
        queue_timeout: float,
        load_timeout: float,
        asking: Asking | None = None,
    ) -> None:
        self._make_engine = make_engine
        self._ledger = ledger
        self._slots = slots
        self._models_dir = models_dir
        self._queue_timeout = queue_timeout
        self._load_timeout = load_timeout
        self._needs = Needs(models_dir, ledger.machine)
        self._awake: dict[str, Footprint] = {}
        self._turns = Turns()
        self.phases: dict[str, Phase] = {}
        """What the last load or wake of each model has come to."""
        self.starting: dict[str, Engine] = {}
        """Engines that are being started, by their models' names."""
        self.changes = Changes()
        self.asking = asking or Asking()
        self.booking = Booking(ledger, self._turns, self.asking)
        self.room = Room(ledger, slots, self._needs.known, turns=self._turns, changes=self.changes, asking=self.asking)

    async def load(self, spec: ModelSpec) -> Engine:
        self.phases[spec.name] = Phase.FILES
        if gone := await asyncio.to_thread(weights.missing, spec, self._models_dir):
            log.error("model %s: %s is missing; bring it by: %s", spec.name, gone[0], spec.fetch or "(no `fetch`)")
            raise ModelUnavailable(f"The model's file {gone[0].name} is missing.")
        need = await self._needs.read(spec)
        if need.elastic:
            # It takes what is left of the GPUs, once those that belong there from the start have their part.
            await self._needs.look_at(slot.spec for slot in self._slots.values() if slot.spec.load == "eager")
        self.phases[spec.name] = Phase.MEMORY
        allotment = await self.room.reserve(spec.name, need, wait=self._queue_timeout)
        try:
            self.phases[spec.name] = Phase.TURN
            async with self._turns.take(allotment.numbers):
                with self.changes.timed(Change.LOAD, spec.name):
                    return await self._start(spec, need, allotment)
        except BaseException:
            self.booking.gone(spec.name)
            raise

    async def _start(self, spec: ModelSpec, need: Need, allotment: Allotment) -> Engine:
        reserved = self._ledger.held[spec.name]
        planned = Footprint(reserved.host - need.loading, reserved.gpus)
        before = await self.booking.look(allotment.numbers)
        engine: Engine | None = None
        self.phases[spec.name] = Phase.START
        try:
            # Importing an engine's library takes seconds.
            engine = self.starting[spec.name] = await asyncio.to_thread(self._make_engine, spec, allotment)
            await self._bring_up(spec, engine, engine.start)
            await self.booking.loaded(spec.name, engine, need, planned, before)
        except BaseException:
            if engine is not None:
                await engine.stop()
            raise
        finally:
            self.starting.pop(spec.name, None)
        return engine

    async def wake(self, spec: ModelSpec, engine: Engine) -> None:
        sleeping, awake = self._ledger.held.get(spec.name, Footprint()), self._awake[spec.name]
        # It comes back as large as it was at first, however little it would need; its weights are still in the host's
        # memory while they are copied.
        most = min([max(awake.gpus.values(), default=0), *(self._ledger.budget.on(gpu) for gpu in awake.gpus)])
        host = min(sleeping.host, self._ledger.budget.host)
        again = Need(host=host, gpu=most, gpus=len(awake.gpus), among=tuple(awake.gpus))
        self.phases[spec.name] = Phase.MEMORY
        await self.room.reserve(spec.name, again, wait=self._queue_timeout)
        self.phases[spec.name] = Phase.TURN
        async with self._turns.take(awake.gpus):
            with self.changes.timed(Change.WAKE, spec.name):
                self.phases[spec.name] = Phase.WAKE
                before = await self.booking.look(awake.gpus)
                await self._bring_up(spec, engine, engine.wake)
                planned = Footprint(awake.host, self._ledger.held[spec.name].gpus)
                need = self._needs.known[spec.name]
                await self.booking.loaded(spec.name, engine, need, planned, before, slept=sleeping)

    async def sleep(self, spec: ModelSpec, engine: Engine) -> None:
        held = self._ledger.held.get(spec.name, Footprint())
        sleeping = asleep(held, self._needs.known[spec.name])
        both = Footprint(sleeping.host, held.gpus)
        if self._ledger.short(both, of=spec.name).host:
            raise ModelUnavailable("The host has no memory left for its weights.")
        self._ledger.correct(spec.name, both)
        before = await self.booking.look(held.gpus)
        try:
            async with asyncio.timeout(self._load_timeout):
                await engine.sleep()
        except TimeoutError:
            raise ModelUnavailable("The model did not go to sleep.") from None
        self._awake[spec.name] = held
        await self.booking.slept(spec.name, engine, held, sleeping, before)
        self._turns.departed(held.gpus)

    async def unload(self, spec: ModelSpec, engine: Engine) -> None:
        if not engine.alive:
            self.changes.died(spec.name, hung=engine.hung)
        try:
            await engine.stop()
        finally:
            # Whatever broke: the slot has let go of the engine, so nobody would come back for its bytes.
            self.booking.gone(spec.name)

    async def _bring_up(self, spec: ModelSpec, engine: Engine, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start or wake, and probe."""
        folder = await asyncio.to_thread(weights.location, spec, self._models_dir)
        try:
            async with asyncio.timeout(self._load_timeout):
                await begin()
                self.phases[spec.name] = Phase.CHECK
                await probe.check(spec, engine, folder)
        except TimeoutError:
            raise ModelUnavailable(f"Loading the model took longer than {self._load_timeout:g} s.") from None
