"""What vLLM's scheduler counts, of which two sums are kept."""

from typing import Any

from vllm.v1.metrics.loggers import PrometheusStatLogger

from server.engines.base import PrefixCache


class SchedulerCounts(PrometheusStatLogger):  # type: ignore[misc]  # vLLM is untyped here
    """Sums over one engine's life.

    It stands in for vLLM's Prometheus logger, of which a process can have one only: the second engine's takes the first
    one's metrics away. vLLM makes its own unless a subclass of it is given, so nothing is inherited but the name.
    """

    def __init__(self, **_: Any) -> None:
        self.looked_up = self.found = 0

    def record(self, scheduler_stats: Any, *_: Any, **__: Any) -> None:
        if scheduler_stats is not None:
            self.looked_up += scheduler_stats.prefix_cache_stats.queries
            self.found += scheduler_stats.prefix_cache_stats.hits

    def prefix_cache(self) -> PrefixCache:
        return PrefixCache(looked_up=self.looked_up, found=self.found)

    def log_engine_initialized(self) -> None:
        pass

    def record_sleep_state(self, is_awake: int = 0, level: int = 0) -> None:
        pass

    def record_admission_rejection(self, reason: str) -> None:
        pass
