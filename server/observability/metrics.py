"""The server's Prometheus metrics."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.observability.process import Tasks
from server.observability.record import RequestRecord

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STATES = ("unloaded", "loading", "ready", "asleep", "draining", "failed")


class CacheCounts(Protocol):
    @property
    def looked_up(self) -> int: ...

    @property
    def found(self) -> int: ...


class ModelGauges(Protocol):
    """What is asked of the registry at each scrape."""

    @property
    def state(self) -> str: ...

    @property
    def prefix_cache(self) -> CacheCounts | None: ...


@dataclass(frozen=True, slots=True)
class _Live:
    """Reads the models' states and running jobs when it is scraped, so that they can't be stale."""

    states: Callable[[], Mapping[str, ModelGauges]]
    running: Callable[[], Mapping[str, int]]

    def collect(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "sagehold_model_state", "1 for the state that the model is in", labels=["model", "state"]
        )
        looked_up = CounterMetricFamily(
            "sagehold_prefix_cache_looked_up_tokens", "Prompt tokens looked for in the prefix cache", labels=["model"]
        )
        found = CounterMetricFamily(
            "sagehold_prefix_cache_found_tokens", "Prompt tokens found in the prefix cache", labels=["model"]
        )
        for model, at in self.states().items():
            for name in STATES:
                state.add_metric([model, name], float(at.state == name))
            if (cache := at.prefix_cache) is not None:
                looked_up.add_metric([model], cache.looked_up)
                found.add_metric([model], cache.found)
        yield from (state, looked_up, found)
        running = GaugeMetricFamily("sagehold_running_jobs", "Jobs inside the model's engine", labels=["model"])
        for model, count in self.running().items():
            running.add_metric([model], count)
        yield running


M = TypeVar("M", bound=MetricWrapperBase)


class _ByLabels(dict[tuple[str | int, ...], M], Generic[M]):
    """A metric's series by their labels, kept: `labels()` converts, checks and locks anew at each call.

    By them, a chat was counted in 9 µs; by these, in 4.5.
    """

    def __init__(self, metric: M) -> None:
        self._metric = metric

    def __missing__(self, labels: tuple[str | int, ...]) -> M:
        series = self[labels] = self._metric.labels(*labels)
        return series


class Metrics:
    """The server's Prometheus metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double every counter for no one
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # the front end's memory, processor time and open files
        self._registry.register(Tasks())
        self._requests = self._counter("requests", "Requests answered", "route", "status", "model")
        self._seconds = self._histogram("request_seconds", "Time from arrival to the answer's end", "route", "model")
        self._first = self._histogram("first_token_seconds", "Time from arrival to the engine's first event", "model")
        self._amounts = {
            name: self._counter(name, description, "model")
            for name, description in (
                ("prompt_tokens", "Prompt tokens read"),
                ("completion_tokens", "Tokens generated"),
                ("audio_seconds", "Seconds of audio transcribed"),
                ("characters", "Characters spoken"),
                ("images", "Images drawn"),
            )
        }

    def _counter(self, name: str, description: str, *labels: str) -> _ByLabels[Counter]:
        return _ByLabels(Counter(f"sagehold_{name}", description, labels, registry=self._registry))

    def _histogram(self, name: str, description: str, *labels: str) -> _ByLabels[Histogram]:
        return _ByLabels(Histogram(f"sagehold_{name}", description, labels, buckets=SECONDS, registry=self._registry))

    def watch(self, states: Callable[[], Mapping[str, ModelGauges]], running: Callable[[], Mapping[str, int]]) -> None:
        """Add the models' states and running jobs, read at each scrape."""
        self._registry.register(_Live(states, running))

    def add(self, collector: Collector) -> None:
        """Add metrics that another part of the server keeps."""
        self._registry.register(collector)

    def request_ended(self, record: RequestRecord) -> None:
        model = record.model or ""
        self._requests[record.route, record.status, model].inc()
        self._seconds[record.route, model].observe(record.seconds)
        if (first := record.first_token_seconds) is not None:
            self._first[model,].observe(first)
        self.worked(record)

    def worked(self, record: RequestRecord) -> None:
        """Count what was used for a request, whose end may have been counted before."""
        for name, amount in record.amounts().items():
            self._amounts[name][record.model or "",].inc(amount)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Every sample as (name, labels, value), for tests and the CLI."""
        for metric in self._registry.collect():
            for sample in metric.samples:
                yield sample.name, sample.labels, sample.value
