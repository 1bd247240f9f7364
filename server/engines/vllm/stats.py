"""vLLM's own Prometheus metrics, under their known names, and two sums that are asked for by themselves."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from vllm.v1.metrics.loggers import PrometheusStatLogger

from server.engines.base import PrefixCache


class SchedulerCounts(PrometheusStatLogger):  # type: ignore[misc]  # vLLM is untyped here
    """vLLM's Prometheus logger, whose metrics lie in a registry of this engine's own and go with it.

    vLLM's lie in the process's one registry, where a second engine's take the first one's away
    (vllm/v1/metrics/prometheus.py, unregister_vllm_metrics). By their label `model_name` those of several engines are
    told apart once they are joined.
    """

    def __init__(self, vllm_config: Any, engine_indexes: list[int] | None = None) -> None:
        self.looked_up = self.found = 0
        self.registry = CollectorRegistry()
        classes = {
            "_gauge_cls": partial(Gauge, registry=self.registry),
            "_counter_cls": partial(Counter, registry=self.registry),
            "_histogram_cls": partial(Histogram, registry=self.registry),
        }
        for name, made in classes.items():
            setattr(self, name, made)
        # These make metrics of their own, by classes that they name alike.
        for name in ("_spec_decoding_cls", "_kv_connector_cls", "_ec_connector_cls", "_perf_metrics_cls"):
            theirs = getattr(PrometheusStatLogger, name)
            setattr(self, name, type(theirs.__name__, (theirs,), dict(classes)))
        super().__init__(vllm_config, engine_indexes)

    def record(self, scheduler_stats: Any, *others: Any, **named: Any) -> None:
        super().record(scheduler_stats, *others, **named)
        if scheduler_stats is not None:
            self.looked_up += scheduler_stats.prefix_cache_stats.queries
            self.found += scheduler_stats.prefix_cache_stats.hits

    def prefix_cache(self) -> PrefixCache:
        return PrefixCache(looked_up=self.looked_up, found=self.found)

    def metrics(self) -> Iterable[Metric]:
        return self.registry.collect()
