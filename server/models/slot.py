"""One model's place in memory: the state machine that loads it, wakes it and puts it away. Who uses it: `leases.py`.

Callers never read the state to decide on a change of it: they ask for a lease, or for `ensure_ready`, or for `evict`,
and the slot decides. At most one change is at work at a time; whoever needs its outcome waits for it, and whoever
gives up waiting leaves it running for the others.

    unloaded ──▶ loading ──▶ ready ──▶ draining ──▶ asleep or unloaded
                   │            └─ its process dies, or is ended since it hung ─▶ failed
                   └─ failed, with a reason; tried again by a request after a back-off
"""

import asyncio
import copy
import logging
import math
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

from server.core import Claim
from server.engines.base import Engine
from server.errors import Conflict, ModelUnavailable, Overloaded, SageholdError, ServerStopping
from server.models.backoff import Backoff
from server.models.config.spec import ModelSpec
from server.models.leases import Leases, Loaded
from server.models.memory.eviction import How
from server.models.queue import FairQueue
from server.models.queue_counts import QueueCounts
from server.observability.tracing import stage

log = logging.getLogger(__name__)

HEALTHY = 60.0
"""Seconds an engine must have lived for its death not to count towards the back-off."""
LONGEST_REBIRTH = 20.0
"""Seconds at most after an early death in which no fresh engine is begun, unless a request wants one."""

DIED = "The model's engine stopped unexpectedly."
HUNG = "The model's engine stopped answering, and was ended."
INTERNAL = "The model could not be loaded; the server's log has the details."


GIVEN_UP = 1.5
"""Seconds that a load gets to break off at the end. A thread that imports can't be stopped, and ends with the process.
"""


class State(StrEnum):
    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    ASLEEP = "asleep"
    DRAINING = "draining"
    FAILED = "failed"


class Loader(Protocol):
    """What a slot needs done to its model. Each step leaves nothing behind when it fails or is cancelled."""

    async def load(self, spec: ModelSpec) -> Engine:
        """A new engine, started and probed. Raises ModelUnavailable, or Overloaded when there is no room now."""
        ...

    async def wake(self, spec: ModelSpec, engine: Engine) -> None:
        """Wake a sleeping engine and probe it. Raises as `load`."""
        ...

    async def sleep(self, spec: ModelSpec, engine: Engine) -> None: ...

    async def unload(self, spec: ModelSpec, engine: Engine) -> None:
        """Stop the engine, dead or alive, and give its memory back."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """A load or unload that an operator began. work: None where nothing had to change."""

    work: "asyncio.Task[SageholdError | None] | None" = None

    async def outcome(self, within: float) -> SageholdError | None:
        """Wait `within` seconds at most. The error that ended it; None where it went well, or has not ended yet.

        Whoever gives up waiting leaves it running.
        """
        if self.work is None:
            return None
        done, _ = await asyncio.wait([self.work], timeout=within)
        error = self.work.result() if done and not self.work.cancelled() else None
        # Others wait for the same: see `Slot.ensure_ready`.
        return copy.copy(error)


class Slot:
    """Invariant: `_work` is the one change under way, or None. It never raises: its result is the error for those who
    wait for it, or None."""

    def __init__(
        self,
        spec: ModelSpec,
        loader: Loader,
        *,
        clock: Callable[[], float],
        on_idle: Callable[[], None] = lambda: None,
        counts: QueueCounts | None = None,
        reserve: bool = True,
    ) -> None:
        """reserve: see FairQueue."""
        self.spec = spec
        self.was_ready = False
        self._leases = Leases(spec, self, clock, on_idle, counts, reserve=reserve)
        self._loader = loader
        self._clock = clock
        self._on_idle = on_idle
        self._state = State.UNLOADED
        self._reason: str | None = None
        self._refusal: str | None = None
        self._since = clock()
        self._loaded: Loaded | None = None
        self._work: asyncio.Task[SageholdError | None] | None = None
        self._coming = False  # whether the work is to load or wake, burial of a dead engine before it included
        self._backoff = Backoff(clock)
        # What loaded and was probed is most likely to do so again: its first death is an accident.
        self._deaths = Backoff(clock, at_once=1, longest=LONGEST_REBIRTH)
        self._died = False
        self._closed = False
        # With those in flight: seconds at most, and what ends it while their end is waited for.
        self._longest_grace = math.inf
        self._patience: asyncio.Timeout | None = None

    # ------------------------------------------------------------ what is shown

    @property
    def state(self) -> State:
        """For people and metrics; never a ground for a decision."""
        return State.FAILED if self._dead else self._state

    @property
    def reason(self) -> str | None:
        """Why the model failed, in words a client may read."""
        return _end_of(self._loaded.engine) if self._dead and self._loaded else self._reason

    @property
    def refusal(self) -> str | None:
        """Why the last load was given up although nothing is wrong with the model: there was no room for it."""
        return self._refusal

    @property
    def loading_for(self) -> float | None:
        """Seconds since the load or wake that is under way began; None where there is none."""
        return self._clock() - self._since if self._work is not None and self._coming else None

    @property
    def leases(self) -> int:
        return self._loaded.leases if self._loaded else 0

    @property
    def waiting(self) -> int:
        """Requests that wait for the model to become ready, or for their turn."""
        return self._leases.queue.waiting

    @property
    def queue(self) -> FairQueue:
        """For metrics, and for what requests took of the model."""
        return self._leases.queue

    @property
    def busy(self) -> bool:
        """Whether anybody uses the model or is about to."""
        return self.leases > 0 or self._leases.queue.busy

    @property
    def last_used(self) -> float:
        """When a lease last began or ended, by the slot's clock."""
        return self._leases.last_used

    @property
    def engine(self) -> Engine | None:
        """The engine, if one is loaded, for its counts."""
        return self._loaded.engine if self._loaded else None

    @property
    def asleep(self) -> bool:
        return self._loaded is not None and self._loaded.asleep

    @property
    def changing(self) -> bool:
        """Whether the model is being loaded, put away or buried: processes of it come or go."""
        return self._work is not None

    @property
    def settled(self) -> bool:
        """Whether the model is loaded, alive and not changing: only then can it be put away."""
        return self._loaded is not None and self._work is None and not self._dead

    @property
    def _dead(self) -> bool:
        return self._work is None and self._loaded is not None and not self._loaded.engine.alive

    # ------------------------------------------------------------ use

    def lease(self, claim: Claim, wait: float, load_wait: float | None = None) -> AbstractAsyncContextManager[Engine]:
        """The engine, ready, kept where it is for the length of the block.

        claim: who asks, and for how much work. wait: longest wait in seconds; load_wait: longest wait for a load or
        wake that is under way, from when this caller began to wait for it; as `wait` if not given.
        Raises RateLimited when too many of the claim's account wait already, Overloaded when too many wait or the wait
        is over, ModelUnavailable when loading failed.
        """
        return self._leases.lease(claim, wait, wait if load_wait is None else load_wait)

    @property
    def at_hand(self) -> Loaded | None:
        """The model, if it can be used at once."""
        loaded = self._loaded
        if loaded is None or self._closed or self._work is not None or loaded.asleep or not loaded.engine.alive:
            return None
        return loaded

    async def ensure_ready(self, on_loading: Callable[[], None] = lambda: None) -> Loaded:
        """Load or wake the model if that is needed. on_loading: called when it begins to wait for a load or a wake.

        Raises ModelUnavailable, Overloaded.
        """
        while True:
            if self._closed:
                raise ServerStopping()
            if (loaded := self.at_hand) is not None:
                return loaded
            if self._work is None:
                self._respect_backoff()
                self._begin(self._bring_up, State.LOADING)
            if self._coming:
                on_loading()
            with stage("load" if self._coming else "eviction"):
                error = await self._outcome()
            if error is not None:
                # Each waiter gets an exception of its own: tracebacks are written into the instance.
                raise copy.copy(error)

    # ------------------------------------------------------------ what operators do

    def begin_load(self) -> Begun:
        """Begin to load or wake the model if that is needed, whatever the back-off after a failure says.

        Raises Conflict while it is being put away, ServerStopping.
        """
        if self._closed:
            raise ServerStopping()
        if self._work is not None and not self._coming:
            raise Conflict(f"The model `{self.spec.name}` is being put away just now. Load it once that is done.")
        if self._work is None and self.at_hand is None:
            self._begin(self._bring_up, State.LOADING)
        return Begun(self._work)

    def begin_unload(self, grace: float | None = None) -> Begun:
        """Begin to put the model away, asleep or failed as it may be: no watchdog brings it back, a request does.

        grace: seconds that requests in flight get to end before they are broken off; those that wait for their turn
        get it from a fresh engine. Without it nobody is disturbed: raises Conflict while the model is in use. Raises
        Conflict while it is changing, too, and ServerStopping.
        """
        name = self.spec.name
        if self._closed:
            raise ServerStopping()
        if self._work is not None:
            what = "loaded" if self._coming else "put away"
            raise Conflict(f"The model `{name}` is being {what} just now. Unload it once that is done.")
        if grace is None and self.busy and not self._dead:
            at_work, waiting = self.leases, self.waiting
            raise Conflict(
                f"The model `{name}` is in use: {at_work} at work, {waiting} waiting. Try again when they are done, or "
                "give them a `grace` in seconds, after which they are broken off."
            )
        if self._loaded is None and self._state is State.UNLOADED:
            return Begun()
        self._begin(partial(self._let_go, grace or 0.0), State.DRAINING)
        return Begun(self._work)

    @asynccontextmanager
    async def lease_loaded(self, claim: Claim, wait: float) -> AsyncGenerator[Engine, None]:
        """As `lease`, but raises Conflict where the model would have to be loaded or woken first."""
        if self.at_hand is None:
            raise Conflict(f"The model `{self.spec.name}` is {self.state}. Load it first.")
        async with self.lease(claim, wait) as engine:
            yield engine

    def _respect_backoff(self) -> None:
        """A failed load is not tried again at once; a death is, since the next engine may do well."""
        remaining = self._backoff.remaining
        if self._state is State.FAILED and not self._died and not self._dead and remaining > 0:
            raise ModelUnavailable(self._reason, headers={"Retry-After": str(int(remaining) + 1)})

    # ------------------------------------------------------------ changes

    def _begin(self, change: Callable[[], Coroutine[Any, Any, SageholdError | None]], state: State) -> None:
        assert self._work is None
        # At once, not when the task first runs: `aclose` must see what it would interrupt.
        self._state = state
        self._coming = state is State.LOADING
        self._since = self._clock()
        self._work = asyncio.create_task(self._finish(change), name=f"model {self.spec.name}")

    async def _finish(self, change: Callable[[], Coroutine[Any, Any, SageholdError | None]]) -> SageholdError | None:
        try:
            return await change()
        finally:
            # In one step with the new state: whoever sees that can begin the next change.
            self._work = None
            self._on_idle()

    async def _outcome(self) -> SageholdError | None:
        """Wait for the change under way. A waiter that is cancelled does not cancel it."""
        assert self._work is not None
        work = self._work
        await asyncio.wait([work])
        return None if work.cancelled() else work.result()

    async def _bring_up(self) -> SageholdError | None:
        name = self.spec.name
        loaded = self._loaded
        try:
            if loaded is not None and not loaded.engine.alive:
                await self._bury(loaded)
                loaded = None
                if self._closed:  # `aclose` cuts no burial short, and waits for what comes after it
                    return ServerStopping()
            self._state, self._reason, self._refusal = State.LOADING, None, None
            if loaded is None:
                log.info("model %s: loading", name)
                started = self._clock()
                engine = await self._loader.load(self.spec)
                self._loaded = Loaded(engine, since=self._clock())
                log.info("model %s: ready after %.1f s", name, self._clock() - started)
            else:
                await self._loader.wake(self.spec, loaded.engine)
                loaded.asleep = False
                log.info("model %s: awake", name)
        except Overloaded as error:
            # There was no room just now: nothing is wrong with the model, and the next request may try at once.
            self._state = State.UNLOADED if self._loaded is None else State.ASLEEP
            self._refusal = error.message
            return error
        except SageholdError as error:
            await self._fail(error.message)
            log.error("model %s: %s", name, error.message)
            return ModelUnavailable(error.message, headers=error.headers)
        except asyncio.CancelledError:
            self._state = State.UNLOADED if self._loaded is None else State.ASLEEP
            raise
        except Exception:
            # A bug in an engine must not leave its model loading for ever; the trace is in the log.
            log.exception("model %s: loading broke", name)
            await self._fail(INTERNAL)
            return ModelUnavailable(INTERNAL)
        self._state = State.READY
        self._died = False
        self.was_ready = True
        self._backoff.over()
        return None

    async def _fail(self, reason: str) -> None:
        """Note a failed load or wake; what was woken in vain is stopped, so that the next try is a fresh load."""
        loaded, self._loaded = self._loaded, None
        self._state, self._reason, self._died = State.FAILED, reason, False
        self._backoff.failed()
        if loaded is not None:
            await self._loader.unload(self.spec, loaded.engine)

    async def _bury(self, loaded: Loaded) -> None:
        """Clean up after an engine that died. Its users learn of it from their own streams."""
        how = "hung and was ended" if loaded.engine.hung else "died"
        log.error("model %s: its engine %s with %d requests in flight", self.spec.name, how, loaded.leases)
        self._loaded = None
        self._state, self._reason, self._died = State.FAILED, _end_of(loaded.engine), True
        if self._clock() - loaded.since >= HEALTHY:
            self._deaths.over()
        self._deaths.failed()
        await self._loader.unload(self.spec, loaded.engine)

    async def evict(self, how: How) -> bool:
        """Put the model away if nobody uses it. False when it is in use, changing, or not there."""
        if not self.settled or self.busy:
            return False
        self._begin(partial(self._put_away, how), State.DRAINING)
        await self._outcome()
        return True

    async def _put_away(self, how: How) -> SageholdError | None:
        loaded = self._loaded
        assert loaded is not None
        if how is How.SLEEP and not loaded.asleep:
            try:
                await self._loader.sleep(self.spec, loaded.engine)
            except SageholdError as error:
                log.error("model %s: could not sleep (%s); stopping it", self.spec.name, error.message)
            except Exception:
                # vLLM's own, such as of a core that dies meanwhile. Half asleep it would let every request wait.
                log.exception("model %s: could not sleep; stopping it", self.spec.name)
            else:
                loaded.asleep = True
                self._state = State.ASLEEP
                log.info("model %s: asleep, to make room", self.spec.name)
                return None
        await self._stop(loaded)
        log.info("model %s: stopped, to make room", self.spec.name)
        return None

    async def _let_go(self, grace: float) -> SageholdError | None:
        """As an operator asked for it."""
        loaded = self._loaded
        if loaded is not None:
            if loaded.leases and loaded.engine.alive:
                await self._drained(loaded, grace)
            await self._stop(loaded)
        self._state, self._reason, self._refusal, self._died = State.UNLOADED, None, None, False
        log.info("model %s: unloaded by an operator", self.spec.name)
        return None

    async def _stop(self, loaded: Loaded) -> None:
        """End an engine that need not be missed: whoever waits for its room has nothing to do with how it breaks."""
        self._loaded = None
        try:
            await self._loader.unload(self.spec, loaded.engine)
        except Exception:
            log.exception("model %s: stopping it broke", self.spec.name)
        finally:
            self._state = State.UNLOADED

    async def tend(self) -> bool:
        """Clean up if the engine has died. True when a fresh one is due, for models that should always be there."""
        if self._dead and not self._closed:
            self._begin(self._clean, self._state)
            await self._outcome()
        wait = self._deaths if self._died else self._backoff
        return self._work is None and self._state is State.FAILED and wait.remaining <= 0

    async def _clean(self) -> SageholdError | None:
        if self._loaded is not None:
            await self._bury(self._loaded)
        return None

    # ------------------------------------------------------------ end

    async def aclose(self, grace: float) -> None:
        """Take no more requests, give those in flight `grace` seconds, then stop the engine. Safe to call twice."""
        self._closed = True
        self._leases.look_again()
        self._hurry(grace)
        if self._work is not None:
            loading = self._state is State.LOADING
            if loading:
                self._work.cancel()
            _, left = await asyncio.wait([self._work], timeout=GIVEN_UP if loading else None)
            if left:
                log.info("model %s: left in the midst of its load", self.spec.name)
                return
            self._work = None  # a task that is cancelled before it began has not done so itself
        loaded = self._loaded
        if loaded is None:
            self._state = State.UNLOADED
            return
        self._state = State.DRAINING
        if loaded.leases:
            await self._drained(loaded, grace)
        self._loaded = None
        await self._loader.unload(self.spec, loaded.engine)
        self._state = State.UNLOADED

    async def _drained(self, loaded: Loaded, grace: float) -> None:
        try:
            async with asyncio.timeout(min(grace, self._longest_grace)) as self._patience:
                await loaded.free.wait()
        except TimeoutError:
            log.warning("model %s: stopping with %d requests in flight", self.spec.name, loaded.leases)
        finally:
            self._patience = None

    def _hurry(self, grace: float) -> None:
        """Those who have time to end get no more than `grace` seconds of it from now on."""
        self._longest_grace = grace
        if self._patience is not None and not self._patience.expired():
            until = asyncio.get_running_loop().time() + grace
            self._patience.reschedule(min(until, self._patience.when() or until))


def _end_of(engine: Engine) -> str:
    """How an engine that is dead came to that, in words a client may read."""
    return HUNG if engine.hung else DIED
