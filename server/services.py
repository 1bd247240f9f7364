"""The composition root: builds everything that routes work with, and takes it down again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from server.accounts.keys.anyone import ensure_anyone
from server.accounts.keys.service import Accounts
from server.accounts.keys.tokens import Exchanged
from server.accounts.ledger.ledger import Ledger
from server.accounts.limits.limiter import RateLimiter
from server.accounts.reports.usage import Reports
from server.api.access import ANYONE
from server.api.batch_lines import BatchLines
from server.api.batch_models import BatchModels
from server.api.openai.image_store import ImageStore
from server.api.services import Services
from server.core import Task
from server.engines.devices.footprint import of_front_end
from server.engines.pulse import Patience
from server.jobs.batches.batches import Batches
from server.jobs.batches.gauges import BatchCounts
from server.jobs.batches.opening import open_batches
from server.jobs.files.store import Files
from server.jobs.responses.responses import open_responses
from server.knowledge.gauges import IngestionCounts
from server.knowledge.knowledge import Knowledge
from server.knowledge.opening import open_knowledge
from server.models.config.catalog import Catalog
from server.models.config.spec import ModelSpec
from server.models.factory import make_engine
from server.models.memory.gauges import MemoryGauges
from server.models.memory.ledger import MemoryLedger
from server.models.memory.machine import Machine
from server.models.opening import Models, open_models
from server.models.registry import Registry
from server.observability import Metrics
from server.observability.joined import Joined
from server.observability.tracing import Tracing, tracing_to
from server.pipeline.admission import Admission, Free
from server.pipeline.inner_calls import InnerCalls, chosen
from server.pipeline.run import Pipeline
from server.pipeline.shutdown import Shutdown
from server.settings import Settings
from server.storage.units import end

log = logging.getLogger(__name__)

DRAIN = 2.0
"""Seconds that requests get to close and to be billed from when they must end."""
LEAVE = 0.5
"""Seconds that engines wait for requests that did not close in that time."""
ENGINES = 6.0
"""Seconds that engines get to stop."""


@asynccontextmanager
async def build_services(
    settings: Settings,
    *,
    metrics: Metrics | None = None,
    shutdown: Shutdown | None = None,
    tracing: Tracing | None = None,
    forced: Callable[[], bool] = lambda: False,
    models: Models | None = None,
) -> AsyncGenerator[Services, None]:
    """Everything, for the length of the block. Models go on loading in the background after it has begun.

    models: those that are begun already, if they are; they are ended with the block all the same. forced: whether, at
    the end, nobody waits for the engines any more; they end with the process then.
    Raises CatalogError, DatabaseError, SecretError or LimitsError, each worded for the operator.
    """
    metrics, shutdown = metrics or Metrics(), shutdown or Shutdown()
    begun = models is not None
    models = models or await open_models(settings)
    catalog, registry = models.catalog, models.registry

    async with AsyncExitStack() as stack:
        tracing = tracing or tracing_to(settings.otlp_endpoint)
        if tracing is not None:
            stack.push_async_callback(tracing.aclose)
        accounts = await stack.enter_async_context(await Accounts.open(settings, check=True))
        await stack.enter_async_context(_background(accounts.database.watch.keep(), "database watch"))
        ledger = Ledger(accounts.database)
        await ledger.start()
        stack.push_async_callback(ledger.aclose)
        limiter = RateLimiter(settings.limits_url)
        stack.push_async_callback(limiter.aclose)
        await limiter.check()
        await stack.enter_async_context(_background(limiter.keep_watch(), "limits watch"))
        images = ImageStore(
            settings.data_dir / "images", ttl=settings.image_url_ttl, max_bytes=settings.image_store_max
        )
        await images.start()
        await stack.enter_async_context(_background(images.keep_swept(), "image sweep"))
        metrics.watch(registry.states, registry.running)
        metrics.add(MemoryGauges(registry.memory))
        metrics.add(registry.changes)
        metrics.add(Joined(registry.engine_metrics))
        metrics.add(registry.queue_counts)
        # Without keys there is nobody to bill.
        admission = Admission(ledger if settings.auth == "keys" else Free(), limiter)
        pipeline = Pipeline(catalog, admission, registry, shutdown)
        calls = InnerCalls(
            pipeline,
            catalog,
            settings.models_dir,
            free=Pipeline(catalog, Admission(Free(), limiter), registry, shutdown),
            embedding=settings.embedding_model,
            reranking=settings.rerank_model,
        )
        chosen(catalog, Task.CHAT, "SAGEHOLD_ASKSAGE_MODEL", settings.asksage_model)
        if calls.embedding is None:
            log.info("no embedding model is installed: datasets can't be searched, nor added to")

        async def drain() -> None:
            # Requests that were cut short close first; the engines' end then fails whatever still runs.
            await pipeline.drained(0 if forced() else DRAIN)
            if not forced():
                await registry.stop(LEAVE, ENGINES)
                await pipeline.drained(DRAIN)

        stack.push_async_callback(drain)
        if not begun:
            await registry.start()
        counts = IngestionCounts()
        metrics.add(counts)
        if settings.auth == "off":
            await ensure_anyone(accounts.database, ANYONE.account_id)
        knowledge = await stack.enter_async_context(
            open_knowledge(settings, accounts.database, calls, accounts, counts=counts)
        )
        files = Files(
            accounts.database,
            settings.data_dir / "files",
            max_file=settings.max_file,
            max_account_files=settings.max_account_files,
        )
        await files.start()
        await stack.enter_async_context(_background(files.keep_swept(), "file sweep"))
        keys = settings.auth == "keys"
        batch_counts = BatchCounts()
        metrics.add(batch_counts)

        def batches(app: Any) -> AbstractAsyncContextManager[Batches]:
            lines = BatchLines(
                app,
                accounts if keys else None,
                ledger if keys else None,
                price_factor=Decimal(str(settings.batch_price_factor)),
            )
            return open_batches(
                settings,
                accounts.database,
                files,
                BatchModels(catalog, registry),
                accounts,
                lines,
                lines,
                counts=batch_counts,
                stopping=lambda: shutdown.begun,
            )

        def grace() -> float:
            return 0.0 if forced() else shutdown.left(settings.shutdown_grace)

        responses = await stack.enter_async_context(open_responses(settings, accounts.database, grace=grace))
        stack.callback(shutdown.begin)
        yield Services(
            settings=settings,
            accounts=accounts,
            catalog=catalog,
            registry=registry,
            pipeline=pipeline,
            metrics=metrics,
            tracing=tracing,
            images=images,
            ledger=ledger,
            reports=Reports(accounts.database),
            knowledge=knowledge,
            files=files,
            open_batches=batches,
            responses=responses,
            outages=partial(_outages, accounts if settings.auth == "keys" else None, limiter),
            first_key=await accounts.ensure_first_key() if settings.auth == "keys" else None,
        )


@asynccontextmanager
async def knowledge_alone(settings: Settings, accounts: Accounts) -> AsyncGenerator[Knowledge, None]:
    """Knowledge for a command, beside a server or without one: models are loaded when they are needed, nothing is
    billed, and what it adds is ingested by a server that is at work on the data folder, or else by itself.

    Raises CatalogError, KnowledgeUnavailable.
    """
    catalog = await anyio.to_thread.run_sync(
        partial(Catalog.load, settings.model_configs, settings.models_dir, None, only=settings.models)
    )
    able = (Task.EMBEDDING, Task.SCORE, Task.TRANSCRIPTION)
    specs = [spec for spec in catalog.models if any(task in spec.tasks for task in able)]
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(_models_alone(settings, specs))
        pipeline = Pipeline(catalog, Admission(Free(), RateLimiter()), registry)
        calls = InnerCalls(
            pipeline,
            catalog,
            settings.models_dir,
            embedding=settings.embedding_model,
            reranking=settings.rerank_model,
        )
        yield await stack.enter_async_context(open_knowledge(settings, accounts.database, calls, accounts, guest=True))


@asynccontextmanager
async def requests_alone(
    settings: Settings, catalog: Catalog, wanted: Collection[str], queue_timeout: float
) -> AsyncGenerator[Services, None]:
    """What answers requests in process, for a command: without keys, accounts and a database; nothing is billed.

    wanted: own names of the models that are loaded at once; others are loaded when a request needs them.
    queue_timeout: in place of the settings', which is made for people who wait.
    """
    settings = settings.model_copy(update={"auth": "off", "queue_timeout": queue_timeout})
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sagehold-")))
        images = ImageStore(folder, ttl=settings.image_url_ttl, max_bytes=settings.image_store_max)
        await images.start()
        registry = await stack.enter_async_context(_models_alone(settings, catalog.models, wanted))
        yield Services(
            settings=settings,
            accounts=_Nobody(),
            catalog=catalog,
            registry=registry,
            pipeline=Pipeline(catalog, Admission(Free(), RateLimiter()), registry),
            images=images,
        )


class _Nobody:
    """The accounts of a command that has none."""

    async def authenticate(self, key: str) -> None:  # noqa: ARG002 - there is none
        return None

    async def exchange(self, key: str, email: str | None) -> Exchanged:  # noqa: ARG002 - there is none
        return Exchanged()


@asynccontextmanager
async def _models_alone(
    settings: Settings, specs: Iterable[ModelSpec], eager: Collection[str] = ()
) -> AsyncGenerator[Registry, None]:
    """The models of a command, for the length of the block. eager: names of those that are loaded at once."""
    machine = await anyio.to_thread.run_sync(Machine.detect)
    patience = Patience(silence=settings.hang_timeout, step=settings.step_timeout)
    registry = Registry(
        [spec.model_copy(update={"load": "eager" if spec.name in eager else "lazy"}) for spec in specs],
        lambda spec, allotment: make_engine(
            spec, models_dir=settings.models_dir, allotment=allotment, patience=patience
        ),
        MemoryLedger(machine, host_budget=settings.host_memory, gpu_budget=settings.gpu_memory),
        models_dir=settings.models_dir,
        queue_timeout=settings.queue_timeout,
        load_timeout=settings.load_timeout,
        front_end=of_front_end,
        reserve=False,  # there is one who asks
    )
    try:
        await registry.start()
        yield registry
    finally:
        await registry.stop(LEAVE, ENGINES)


def _outages(accounts: Accounts | None, limiter: RateLimiter) -> Mapping[str, str]:
    """For /ready, which needs no key: no paths and no hosts. accounts: None where nobody needs a key."""
    found = {}
    if accounts is not None and accounts.database.watch.trouble is not None:
        found["database"] = "not available: see the server's log"
    if limiter.trouble is not None:
        found["limits"] = "Redis does not answer: see the server's log"
    return found


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None], name: str) -> AsyncGenerator[None, None]:
    """`work` beside the block, and no longer."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        end(task)
        await asyncio.wait([task])
