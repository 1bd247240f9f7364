"""What /metrics says of batches."""

from collections import Counter
from collections.abc import Iterable, Mapping
from threading import Lock

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class BatchCounts(Collector):
    """Counts of this process, and of the whole database as it was looked at last. running: batches that this process
    works on; under_way: lines of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._batches: Mapping[str, int] = {}
        self.running = 0
        self.under_way = 0

    def line(self, outcome: str) -> None:
        """outcome: `completed` or `failed`."""
        with self._lock:
            self._lines[outcome] += 1

    def ended(self, status: str) -> None:
        with self._lock:
            self._ended[status] += 1

    def looked(self, batches: Mapping[str, int]) -> None:
        """batches: how many there are that are not done, by status."""
        self._batches = dict(batches)

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            lines, ended = dict(self._lines), dict(self._ended)
        batches = GaugeMetricFamily(
            "sagehold_batches",
            "Batches in the database that are not done, by status, as of at most a minute ago",
            labels=["status"],
        )
        for status, count in self._batches.items():
            batches.add_metric([status], count)
        yield batches
        yield GaugeMetricFamily("sagehold_batches_running", "Batches that this process works on", value=self.running)
        yield GaugeMetricFamily(
            "sagehold_batch_lines_running", "Requests of batches that this process works on", value=self.under_way
        )
        for name, text, label, counts in (
            ("sagehold_batches_ended", "Batches that ended in this process", "status", ended),
            ("sagehold_batch_lines", "Requests of batches that ended in this process", "outcome", lines),
        ):
            family = CounterMetricFamily(name, text, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family
