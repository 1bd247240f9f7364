"""What /metrics says of knowledge."""

from collections.abc import Iterable, Mapping
from threading import Lock

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Seconds."""


class IngestionCounts(Collector):
    """Counts of this process, and of the whole database as it was looked at last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ended: dict[str, int] = {}
        self._chunks = 0
        self._steps: dict[str, list[float]] = {}
        self._documents: Mapping[str, int] = {}

    def ended(self, state: str, chunks: int) -> None:
        with self._lock:
            self._ended[state] = self._ended.get(state, 0) + 1
            self._chunks += chunks

    def step(self, name: str, seconds: float) -> None:
        with self._lock:
            counts = self._steps.setdefault(name, [0.0] * (len(BOUNDS) + 2))
            place = next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
            counts[place] += 1
            counts[-1] += seconds

    def looked(self, documents: Mapping[str, int]) -> None:
        """documents: how many there are, by state."""
        self._documents = dict(documents)

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            ended, chunks = dict(self._ended), self._chunks
            steps = {name: list(counts) for name, counts in self._steps.items()}
        documents = GaugeMetricFamily(
            "sagehold_documents", "Documents in the database, by state, as of at most a minute ago", labels=["state"]
        )
        for state, count in self._documents.items():
            documents.add_metric([state], count)
        yield documents
        family = CounterMetricFamily(
            "sagehold_documents_ended", "Documents whose ingestion ended in this process", labels=["state"]
        )
        for state, count in ended.items():
            family.add_metric([state], count)
        yield family
        yield CounterMetricFamily("sagehold_chunks_stored", "Chunks of documents that became ready", value=chunks)
        seconds = HistogramMetricFamily(
            "sagehold_ingestion_seconds", "Time of a step of a document's ingestion", labels=["step"]
        )
        for name, counts in steps.items():
            buckets, total = [], 0.0
            for bound, number in zip((*map(str, BOUNDS), "+Inf"), counts, strict=False):
                total += number
                buckets.append((bound, total))
            seconds.add_metric([name], buckets, sum_value=counts[-1])
        yield seconds
