"""The models of a server, by its settings: which there are, and what loads them."""

import logging
from dataclasses import dataclass
from functools import partial

import anyio

from server.engines.base import Engine
from server.engines.devices.footprint import of_front_end
from server.engines.pulse import Patience
from server.models.config.catalog import Catalog
from server.models.config.spec import ModelSpec
from server.models.factory import make_engine
from server.models.memory.allotment import Allotment
from server.models.memory.ledger import MemoryLedger
from server.models.memory.machine import Machine
from server.models.registry import Registry
from server.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Models:
    catalog: Catalog
    registry: Registry


async def open_models(settings: Settings) -> Models:
    """None of them is loaded yet. Raises CatalogError.

    Nothing of HTTP and of databases is imported for it, so that loads can begin before the rest of a server is there.
    """
    catalog = await anyio.to_thread.run_sync(
        partial(Catalog.load, settings.model_configs, settings.models_dir, settings.data_dir, only=settings.models)
    )
    for missing in catalog.missing:
        log.info("model %s is not installed%s", missing.spec.name, _by(missing.spec))
    if not catalog.models:
        log.warning("no model is installed: there is nothing to serve. See `sagehold models list`.")
    machine = await anyio.to_thread.run_sync(Machine.detect)
    memory = MemoryLedger(machine, host_budget=settings.host_memory, gpu_budget=settings.gpu_memory)
    patience = Patience(silence=settings.hang_timeout, step=settings.step_timeout)

    def engine_for(spec: ModelSpec, allotment: Allotment) -> Engine:
        return make_engine(spec, models_dir=settings.models_dir, allotment=allotment, patience=patience)

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
    return Models(catalog, registry)


def _by(spec: ModelSpec) -> str:
    return f"; bring it by: {spec.fetch}" if spec.fetch else ""
