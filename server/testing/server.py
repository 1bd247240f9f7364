"""A whole server over fake engines, catalog, registry and accounts, in one process and without sockets."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import httpx
from fastapi import FastAPI

from server.accounts.keys.tokens import Exchanged
from server.accounts.ledger.ledger import Ledger
from server.accounts.limits.limiter import RateLimiter
from server.api.failed_keys import FailedKeys
from server.api.openai.image_store import ImageStore
from server.api.services import Authenticator, Services
from server.app import create_app
from server.core import Caller, Claim, Task
from server.engines.base import Engine, Footprint, PrefixCache
from server.engines.fake.engine import FakeEngine
from server.errors import Conflict, ModelNotFound, ModelUnavailable
from server.models.config.catalog import Missing
from server.models.config.spec import FakeModel, ModelSpec, Price
from server.models.memory.ledger import FRONT_END
from server.models.probe import Passed, Report
from server.models.slot import Begun
from server.models.standing import Loading
from server.observability.tracing import tracing_to
from server.pipeline.admission import Admission, Bank, Free, Limiter
from server.pipeline.run import Pipeline
from server.settings import Settings
from server.testing.exchange import Exchange

if TYPE_CHECKING:
    from server.knowledge.knowledge import Knowledge
    from server.storage.database import Database

KEY = "sk-sage-test"
CALLER = Caller(key_id="key_test", account_id="acct_test")


@dataclass(frozen=True, slots=True)
class FakePublicModel:
    """A public name of the fake catalog."""

    id: str
    tasks: Mapping[Task, ModelSpec]
    price: Price = field(default_factory=Price)
    owned_by: str = "local"
    created: int = 1_700_000_000
    description: str = ""
    parent: str | None = None
    image_response_format: str | None = None


@dataclass
class FakeAccounts:
    """Keys and whose they are."""

    keys: dict[str, Caller] = field(default_factory=lambda: {KEY: CALLER})

    async def authenticate(self, key: str) -> Caller | None:
        return self.keys.get(key)

    async def caller(self, key_id: str) -> Caller | None:
        """As ingestion asks for it."""
        return next((caller for caller in self.keys.values() if caller.key_id == key_id), None)

    async def exchange(self, key: str, email: str | None) -> Exchanged:  # noqa: ARG002 - these have no addresses
        """A key is its own token."""
        caller = self.keys.get(key)
        return Exchanged() if caller is None else Exchanged(caller.account_id, key)


class FakeCatalog:
    """Public names: `everything` does all tasks, and each task has a model named after it."""

    def __init__(self, models: Mapping[Task, FakeModel], price: Price) -> None:
        self.listed = [FakePublicModel("everything", dict(models), price)]
        self.listed += [FakePublicModel(model.name, {task: model}, price) for task, model in models.items()]
        self.models = tuple(models.values())
        self.missing: list[Missing] = []

    def public_models(self) -> Sequence[FakePublicModel]:
        return self.listed

    def unserved(self, name: str) -> ModelNotFound:
        return ModelNotFound.named(name)

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        entry = next((entry for entry in self.listed if entry.id == name), None)
        if entry is None:
            raise self.unserved(name)
        if task not in entry.tasks:
            having = tuple(entry.id for entry in self.listed if task in entry.tasks)
            raise ModelNotFound.named(name, task, having)
        return entry.tasks[task], entry.price


@dataclass
class FakeState:
    """Where a fake model stands; a test may change it."""

    state: str = "ready"
    reason: str | None = None
    refusal: str | None = None
    running: int = 0
    waiting: int = 0
    places: int = 1
    loading: Loading | None = None
    prefix_cache: PrefixCache | None = None
    context: int | None = None
    held: Footprint = field(default_factory=lambda: Footprint(3 << 20, {0: 5 << 20}))
    reported: Footprint = field(default_factory=lambda: Footprint(2 << 20))


@dataclass(frozen=True)
class FakeMemory:
    budget: Footprint = field(default_factory=lambda: Footprint(1 << 30, {0: 1 << 30}))
    held: Mapping[str, Footprint] = field(default_factory=lambda: {FRONT_END: Footprint(7 << 20)})
    reported: Mapping[str, Footprint] = field(default_factory=lambda: {FRONT_END: Footprint(6 << 20)})


class FakeRegistry:
    """Engines that are always loaded, unless `loaded` is cleared: leases then wait for it. `failed` names models that
    can't be leased, and why; `loads` how busy they are; `waiting` counts who waits for a lease; `loading` and
    `unloaded` are only shown."""

    def __init__(self, engines: Mapping[str, FakeEngine]) -> None:
        self.engines = engines
        self.failed: dict[str, str] = {}
        self.loads: dict[str, float] = {}
        self.loading: dict[str, Loading] = {}
        self.unloaded: set[str] = set()
        self.loaded = asyncio.Event()
        self.loaded.set()
        self.waiting = 0
        self.leases = 0

    @asynccontextmanager
    async def lease(self, spec: ModelSpec, claim: Claim) -> AsyncGenerator[Engine, None]:  # noqa: ARG002 - no queue
        self.waiting += 1
        try:
            await self.loaded.wait()
        finally:
            self.waiting -= 1
        if reason := self.failed.get(spec.name):
            raise ModelUnavailable(reason)
        self.leases += 1
        try:
            yield self.engines[spec.name]
        finally:
            self.leases -= 1

    def took(self, spec: ModelSpec, claim: Claim, work: float) -> None:
        pass

    def busy(self, spec: ModelSpec) -> float:
        return self.loads.get(spec.name, 0.0)

    def states(self) -> Mapping[str, FakeState]:
        return {name: self._state(name) for name in self.engines}

    def _state(self, name: str) -> FakeState:
        if name in self.failed:
            return FakeState("failed", self.failed[name])
        if name in self.loading:
            return FakeState("loading", loading=self.loading[name])
        if name in self.unloaded:
            return FakeState("unloaded", held=Footprint(), reported=Footprint())
        engine = self.engines[name]
        return FakeState(running=engine.running, context=engine.context)

    def begin_load(self, name: str) -> Begun:
        self._engine(name)
        self.unloaded.discard(name)
        return Begun()

    def begin_unload(self, name: str, grace: float | None = None) -> Begun:
        if self._engine(name).running and grace is None:
            raise Conflict(f"The model `{name}` is in use.")
        self.unloaded.add(name)
        return Begun()

    async def probe(self, name: str, claim: Claim) -> Report:  # noqa: ARG002 - no queue
        self._engine(name)
        if name in self.unloaded:
            raise Conflict(f"The model `{name}` is unloaded. Load it first.")
        reason = self.failed.get(name)
        passed = [] if reason else [Passed(Task.CHAT, "What is the capital of Japan?", "Tokyo")]
        return Report(passed, reason, 0.25)

    def _engine(self, name: str) -> FakeEngine:
        if name not in self.engines:
            raise ModelNotFound.named(name)
        return self.engines[name]

    def memory(self) -> FakeMemory:
        return FakeMemory()

    @property
    def ready(self) -> bool:
        return not self.failed

    def running(self) -> Mapping[str, int]:
        return {name: engine.running for name, engine in self.engines.items()}


async def _at_once(_: float) -> None:
    """Wrong keys are answered without delay."""


class FakeServer:
    """The real application and pipeline over fakes. `async with` starts its engines.

    `engines[Task.CHAT]` and so on can be steered and counted: see `server/engines/fake/engine.py`.
    """

    def __init__(
        self,
        settings: Settings,
        options: Mapping[Task, Mapping[str, Any]] | None = None,
        *,
        accounts: Authenticator | None = None,
        bank: Bank | None = None,
        limiter: Limiter | None = None,
        failed_keys: FailedKeys | None = None,
        price: Price | None = None,
        quality: Mapping[Task, Mapping[str, Any]] | None = None,
        senses: Mapping[str, Any] | None = None,
        knowledge: "Database | None" = None,
    ) -> None:
        """options: the fake engines' own, by task; quality: their modes, as in a model config; senses: the chat
        model's. accounts, bank, limiter, failed_keys: real ones, where a test is about them. Without failed_keys,
        wrong keys wait for nothing. knowledge: a database with all tables, open for as long as the server runs, in
        which datasets and files are kept; fake accounts are entered there."""
        chosen = options or {}
        models = {
            task: FakeModel(
                name=f"fake-{task}",
                engine="fake",
                serves=task,
                price=price or Price(),
                quality=dict((quality or {}).get(task, {})),
                options=dict(chosen.get(task, {})),
                **((senses or {}) if task is Task.CHAT else {}),
            )
            for task in Task
        }
        self.engines = {task: FakeEngine(task, model.options) for task, model in models.items()}
        self.registry = FakeRegistry({models[task].name: engine for task, engine in self.engines.items()})
        self.catalog = FakeCatalog(models, price or Price())
        self.accounts = accounts or FakeAccounts()
        self.images = ImageStore(
            settings.data_dir / "images", ttl=settings.image_url_ttl, max_bytes=settings.image_store_max
        )
        self.services = Services(
            settings=settings,
            accounts=self.accounts,
            catalog=self.catalog,
            registry=self.registry,
            pipeline=Pipeline(self.catalog, Admission(bank or Free(), limiter or RateLimiter()), self.registry),
            images=self.images,
            tracing=tracing_to(settings.otlp_endpoint),
            failed_keys=failed_keys or FailedKeys(sleep=_at_once),
        )
        self.services.metrics.watch(self.registry.states, self.registry.running)
        self.app: FastAPI = create_app(settings, self.services)
        self._database = knowledge
        self._books = bank if isinstance(bank, Ledger) else None
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.images.start()
        for engine in self.engines.values():
            await engine.start()
        if self._database is not None:
            await self._open_knowledge(self._database)
        return self

    @property
    def knowledge(self) -> "Knowledge":
        assert self.services.knowledge is not None, "the server was made without a database"
        return self.services.knowledge

    async def _open_knowledge(self, database: "Database") -> None:
        from server.api.batch_lines import BatchLines
        from server.api.batch_models import BatchModels
        from server.jobs.batches.gauges import BatchCounts
        from server.jobs.batches.opening import open_batches
        from server.jobs.files.store import Files
        from server.knowledge.gauges import IngestionCounts
        from server.knowledge.opening import open_knowledge
        from server.pipeline.inner_calls import InnerCalls
        from server.testing.seats import seat

        settings, accounts = self.services.settings, self.accounts
        if isinstance(accounts, FakeAccounts):
            await seat(database, accounts.keys.values())
        models = InnerCalls(
            self.services.pipeline,
            self.catalog,
            settings.models_dir,
            embedding=settings.embedding_model,
            reranking=settings.rerank_model,
        )
        counts = IngestionCounts()
        self.services.metrics.add(counts)
        opened = open_knowledge(settings, database, models, accounts, counts=counts)  # type: ignore[arg-type]
        files = Files(
            database,
            settings.data_dir / "files",
            max_file=settings.max_file,
            max_account_files=settings.max_account_files,
        )
        await files.start()
        knowledge = await self._held.enter_async_context(opened)
        self.services = replace(self.services, knowledge=knowledge, files=files)
        self.app.state.services = self.services
        factor = Decimal(str(settings.batch_price_factor))
        lines = BatchLines(self.app, accounts, self._books, price_factor=factor)  # type: ignore[arg-type]
        tallies = BatchCounts()
        self.services.metrics.add(tallies)
        batches = open_batches(
            settings,
            database,
            files,
            BatchModels(self.catalog, self.registry),
            accounts,  # type: ignore[arg-type]
            lines,
            lines,
            counts=tallies,
            stopping=lambda: self.services.shutdown.begun,
        )
        self.services = replace(self.services, batches=await self._held.enter_async_context(batches))
        self.app.state.services = self.services

    async def __aexit__(self, *error: object) -> None:
        await self._held.aclose()
        for engine in self.engines.values():
            await engine.stop()
        if self.services.tracing is not None:
            await self.services.tracing.aclose()

    def client(self, key: str | None = KEY, base_url: str = "http://test") -> httpx.AsyncClient:
        """Talks to the application in process. Answers come whole: to watch a stream, use `exchange`."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=base_url, headers=headers)

    def exchange(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Exchange:
        """One request by hand, with the key and a JSON content type unless `headers` says otherwise."""
        sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **(headers or {})}
        return Exchange(self.app, method, path, body, sent)
