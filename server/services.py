"""The composition root: builds everything that routes work with, and takes it down again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import anyio

from server.accounts.keys.service import Accounts
from server.accounts.ledger.ledger import Ledger
from server.accounts.limits.limiter import RateLimiter
from server.accounts.reports.usage import Reports
from server.api.openai.image_store import ImageStore
from server.api.services import Services
from server.engines.base import Engine
from server.engines.devices.footprint import of_front_end
from server.models.config.catalog import Catalog
from server.models.config.spec import ModelSpec
from server.models.factory import make_engine
from server.models.memory.allotment import Allotment
from server.models.memory.gauges import MemoryGauges
from server.models.memory.ledger import MemoryLedger
from server.models.memory.machine import Machine
from server.models.registry import Registry
from server.observability import Metrics
from server.pipeline.admission import Admission, Free
from server.pipeline.run import Pipeline
from server.settings import Settings

log = logging.getLogger(__name__)

DRAIN = 3.0
"""Seconds that requests get to close and to be billed from when they must end."""


@asynccontextmanager
async def build_services(settings: Settings, *, metrics: Metrics | None = None) -> AsyncGenerator[Services, None]:
    """Everything, for the length of the block. Models go on loading in the background after it has begun.

    Raises CatalogError, DatabaseError or SecretError, each worded for the operator.
    """
    metrics = metrics or Metrics()
    catalog = await anyio.to_thread.run_sync(
        partial(Catalog.load, settings.model_configs, settings.models_dir, settings.data_dir, only=settings.models)
    )
    for missing in catalog.missing:
        log.info("model %s is not installed%s", missing.spec.name, _by(missing.spec))
    if not catalog.models:
        log.warning("no model is installed: there is nothing to serve. See `sagehold models list`.")
    machine = await anyio.to_thread.run_sync(Machine.detect)
    memory = MemoryLedger(machine, host_budget=settings.host_memory, gpu_budget=settings.gpu_memory)

    def engine_for(spec: ModelSpec, allotment: Allotment) -> Engine:
        return make_engine(spec, models_dir=settings.models_dir, allotment=allotment)

    async with AsyncExitStack() as stack:
        accounts = await stack.enter_async_context(await Accounts.open(settings))
        ledger = Ledger(accounts.database)
        await ledger.start()
        stack.push_async_callback(ledger.aclose)
        limiter = RateLimiter(settings.limits_url)
        stack.push_async_callback(limiter.aclose)
        images = ImageStore(
            settings.data_dir / "images", ttl=settings.image_url_ttl, max_bytes=settings.image_store_max
        )
        await images.start()
        await stack.enter_async_context(_background(images.keep_swept(), "image sweep"))
        registry = Registry(
            catalog.models,
            engine_for,
            memory,
            models_dir=settings.models_dir,
            queue_timeout=settings.queue_timeout,
            load_timeout=settings.load_timeout,
            front_end=of_front_end,
            reserve=settings.auth == "keys",  # without keys all callers are one account
        )
        metrics.watch(registry.states, registry.running)
        metrics.add(MemoryGauges(registry.memory))
        metrics.add(registry.changes)
        metrics.add(registry.queue_counts)
        # Without keys there is nobody to bill.
        admission = Admission(ledger if settings.auth == "keys" else Free(), limiter)
        pipeline = Pipeline(catalog, admission, registry)
        # At the end, requests that were cancelled close first; the engines' end then fails whatever still runs.
        stack.push_async_callback(pipeline.drained, DRAIN)
        await stack.enter_async_context(registry)
        stack.push_async_callback(pipeline.drained, DRAIN)
        yield Services(
            settings=settings,
            accounts=accounts,
            catalog=catalog,
            registry=registry,
            pipeline=pipeline,
            metrics=metrics,
            images=images,
            ledger=ledger,
            reports=Reports(accounts.database),
            first_key=await accounts.ensure_first_key() if settings.auth == "keys" else None,
        )


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None], name: str) -> AsyncGenerator[None, None]:
    """`work` beside the block, and no longer."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _by(spec: ModelSpec) -> str:
    return f"; bring it by: {spec.fetch}" if spec.fetch else ""
