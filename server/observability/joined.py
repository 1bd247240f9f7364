"""Metrics that several parts keep under the same names, as one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Joined(Collector):
    """The families of all sources as they are at a scrape, those of one name in one: an exposition may name each once.

    The samples of the sources differ in their labels, such as the model's name.
    """

    sources: Callable[[], Iterable[Iterable[Metric]]]

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for source in self.sources():
            for family in source:
                if family.name not in families:
                    families[family.name] = Metric(family.name, family.documentation, family.type, family.unit)
                families[family.name].samples += family.samples
        return families.values()
