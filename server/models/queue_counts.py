"""Waits and refusals of the models' queues, for /metrics."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.core.caller import Priority

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Depths(Protocol):
    """What is read of a queue at each scrape."""

    @property
    def counts(self) -> Mapping[Priority, int]: ...

    @property
    def taken(self) -> int: ...

    @property
    def places(self) -> int: ...


class QueueCounts(Collector):
    """By model and class. Only requests that had to wait are in the histogram: those that began at once would drown
    them, and are `sagehold_requests_total` less its count. A prometheus collector, so that `Metrics` can take it in."""

    def __init__(self) -> None:
        self.queues: Callable[[], Mapping[str, Depths]] = dict
        self._registry = CollectorRegistry()
        self._waited = Histogram(
            "sagehold_queue_wait_seconds", "Time that requests waited, a load included, which did not begin at once",
            ["model", "class"], buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._refused = Counter(
            "sagehold_queue_refusals",
            "Requests that were told to come again: account (it fills its share), full, late (it could not be served "
            "in time), timeout (it waited that long)",
            ["model", "class", "reason"], registry=self._registry,
        )  # fmt: skip

    def waited(self, model: str, priority: Priority, seconds: float) -> None:
        self._waited.labels(model, word(priority)).observe(seconds)

    def refused(self, model: str, priority: Priority, reason: str) -> None:
        self._refused.labels(model, word(priority), reason).inc()

    def collect(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily("sagehold_queue_depth", "Requests that wait for the model", labels=["model", "class"])
        taken = GaugeMetricFamily("sagehold_places_taken", "Answers that the engine makes now", labels=["model"])
        places = GaugeMetricFamily("sagehold_places", "Answers that the engine makes at once", labels=["model"])
        for model, queue in self.queues().items():
            for priority in Priority:
                depth.add_metric([model, word(priority)], queue.counts[priority])
            taken.add_metric([model], queue.taken)
            places.add_metric([model], queue.places)
        yield from (depth, taken, places)
        yield from self._registry.collect()


def word(priority: Priority) -> str:
    """A class in metrics: `high`, `normal`, `background`."""
    return priority.name.lower()
