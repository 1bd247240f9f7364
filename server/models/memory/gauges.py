"""The books of memory for /metrics: budget, held and reported bytes, by model and device."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.engines.base import Footprint
from server.models.memory.books import MemoryBooks


@dataclass(frozen=True, slots=True)
class MemoryGauges(Collector):
    """Reads the books when it is scraped. device: `host`, or `gpu0` and so on; model: `front end` for the rest."""

    books: Callable[[], MemoryBooks]

    def collect(self) -> Iterable[Metric]:
        books = self.books()
        budget = GaugeMetricFamily(
            "sagehold_memory_budget_bytes", "Most that models and front end may hold", labels=["device"]
        )
        for device, amount in _by_device(books.budget):
            budget.add_metric([device], amount)
        yield budget
        for name, text, amounts in (
            ("held", "What the ledger keeps for the model", books.held),
            ("reported", "What the machine reported last of the model's processes", books.reported),
        ):
            family = GaugeMetricFamily(f"sagehold_memory_{name}_bytes", text, labels=["model", "device"])
            for model, held in amounts.items():
                for device, amount in _by_device(held):
                    family.add_metric([model, device], amount)
            yield family


def _by_device(amount: Footprint) -> Iterator[tuple[str, int]]:
    yield "host", amount.host
    for number, held in amount.gpus.items():
        yield f"gpu{number}", held
