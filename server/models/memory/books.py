"""The books of memory as they are at one moment, for people and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.engines.base import Footprint


@dataclass(frozen=True, slots=True)
class MemoryBooks:
    """budget: what all may hold. held: by the ledger; reported: by the machine, a while ago; both by the models' names,
    and the front end's."""

    budget: Footprint
    held: Mapping[str, Footprint]
    reported: Mapping[str, Footprint]
