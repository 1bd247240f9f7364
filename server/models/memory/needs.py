"""What each model needs, as far as it is known: read from its files, in threads."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from server.models.config.spec import ModelSpec
from server.models.memory.asking import in_own_thread
from server.models.memory.estimate import estimate
from server.models.memory.machine import Machine
from server.models.memory.need import Need

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a load waits for the files of others. Headers and sizes are read within milliseconds from a disk."""


class Needs:
    """A disk that does not answer holds up the loads of its own models, and no others': each model's files are read in
    a thread of their own, and nobody waits longer than `patience` seconds for those of another model.
    """

    def __init__(self, models_dir: Path, machine: Machine, patience: float = PATIENCE) -> None:
        self._models_dir = models_dir
        self._machine = machine
        self._patience = patience
        self._known: dict[str, Need] = {}
        self._reading: dict[str, asyncio.Future[Need]] = {}

    @property
    def known(self) -> Mapping[str, Need]:
        """By the models' names. A model that is loaded is there, since its load has read its files."""
        return MappingProxyType(self._known)

    async def read(self, spec: ModelSpec) -> Need:
        """Read a model's files anew: they may have come, or changed. Raises what reading them raises."""
        self._known.pop(spec.name, None)
        need = self._known[spec.name] = await in_own_thread(self._question(spec))
        return need

    async def look_at(self, specs: Iterable[ModelSpec]) -> None:
        """Read what is not known yet of these. What can't be read is left out: their own loads report it."""
        reading = [self._begin(spec) for spec in specs if spec.name not in self._known]
        if reading:
            await asyncio.wait(reading, timeout=self._patience)

    def _begin(self, spec: ModelSpec) -> asyncio.Future[Need]:
        """Begin to read, unless that is under way already."""
        if (under_way := self._reading.get(spec.name)) is not None:
            return under_way
        reading = in_own_thread(self._question(spec))
        self._reading[spec.name] = reading
        reading.add_done_callback(partial(self._done, spec.name))
        return reading

    def _question(self, spec: ModelSpec) -> Callable[[], Need]:
        return partial(estimate, spec, self._models_dir, self._machine)

    def _done(self, name: str, reading: asyncio.Future[Need]) -> None:
        del self._reading[name]
        if reading.cancelled():
            return
        if (error := reading.exception()) is not None:
            log.debug("model %s: its files can't be read yet", name, exc_info=error)
        else:
            self._known.setdefault(name, reading.result())
