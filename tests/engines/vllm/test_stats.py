"""What is kept of vLLM's own counts, and that its own loggers stay out."""

from types import SimpleNamespace

from prometheus_client import REGISTRY
from vllm.v1.metrics.loggers import StatLoggerManager
from vllm.v1.metrics.stats import PrefixCacheStats, SchedulerStats

from server.engines.base import PrefixCache
from server.engines.vllm.stats import SchedulerCounts


def test_it_is_vllms_only_logger_and_adds_up() -> None:
    manager = StatLoggerManager(
        vllm_config=SimpleNamespace(), custom_stat_loggers=[SchedulerCounts], enable_default_loggers=False
    )
    (counts,) = manager.stat_loggers
    assert isinstance(counts, SchedulerCounts)
    for queries, hits in ((776, 0), (776, 768)):
        stats = SchedulerStats(prefix_cache_stats=PrefixCacheStats(requests=1, queries=queries, hits=hits))
        manager.record(stats, None)
    manager.record(None, None)  # a step with nothing to tell
    manager.record_sleep_state(1, 1)
    manager.record_admission_rejection("max_num_queued_reqs")
    manager.log_engine_initialized()
    manager.log()
    assert counts.prefix_cache() == PrefixCache(looked_up=1552, found=768)
    assert not [metric.name for metric in REGISTRY.collect() if metric.name.startswith("vllm:")]
