"""Loads, wakes and evictions of models, counted and timed for /metrics."""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200)


class Change(StrEnum):
    LOAD = "load"
    WAKE = "wake"


class Changes(Collector):
    """Counters and histograms by model. A prometheus collector, so that `Metrics` can take it in."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._counts = {
            change: Counter(
                f"sagehold_model_{change}s", f"Times that a model was to {change}", ["model", "result"],
                registry=self._registry,
            )
            for change in Change
        }  # fmt: skip
        self._seconds = {
            change: Histogram(
                f"sagehold_model_{change}_seconds", f"Time of a {change} that went well, the wait for memory left out",
                ["model"], buckets=SECONDS, registry=self._registry,
            )
            for change in Change
        }  # fmt: skip
        self._deaths = Counter(
            "sagehold_model_deaths", "Times that a model's engine ended by itself, or was ended since it hung",
            ["model", "how"], registry=self._registry,
        )  # fmt: skip
        self._evictions = Counter(
            "sagehold_model_evictions", "Times that a model made room for another", ["model", "how"],
            registry=self._registry,
        )  # fmt: skip
        self._eviction_seconds = Histogram(
            "sagehold_model_eviction_seconds", "Time until a model had made room", ["model", "how"], buckets=SECONDS,
            registry=self._registry,
        )  # fmt: skip

    @contextmanager
    def timed(self, change: Change, model: str) -> Generator[None, None, None]:
        """Count the block as a load or a wake: `ok`, or `failed` where it raises or is cancelled."""
        begun = self._clock()
        try:
            yield
        except BaseException:
            self._counts[change].labels(model, "failed").inc()
            raise
        self._counts[change].labels(model, "ok").inc()
        self._seconds[change].labels(model).observe(self._clock() - begun)

    def died(self, model: str, *, hung: bool) -> None:
        self._deaths.labels(model, "hung" if hung else "died").inc()

    @contextmanager
    def evicting(self, model: str) -> Generator[Callable[[str], None], None, None]:
        """Time the block as an eviction. It counts once the block has called the function that it gets, with `sleep` or
        `stop`."""
        begun = self._clock()

        def done(how: str) -> None:
            self._evictions.labels(model, how).inc()
            self._eviction_seconds.labels(model, how).observe(self._clock() - begun)

        yield done

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()
