"""vLLM's metrics: all of them, under the names that its users know, of several engines side by side."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import vllm
from prometheus_client import REGISTRY
from vllm.v1.metrics.loggers import PrometheusStatLogger, StatLoggerManager
from vllm.v1.metrics.stats import IterationStats, PrefixCacheStats, SchedulerStats

from server.engines.base import PrefixCache
from server.engines.vllm.stats import SchedulerCounts
from server.observability import Metrics
from server.observability.joined import Joined

# What is made only where a model's config asks for it.
RARE = {
    "vllm:corrupted_requests",
    "vllm:watermark_requests",
    "vllm:num_requests_kv_fetch_by_stage",
    "vllm:kv_block_lifetime_seconds",
    "vllm:kv_block_idle_before_evict_seconds",
    "vllm:kv_block_reuse_gap_seconds",
    "vllm:lora_requests_info",
}


def config(name: str, **more: Any) -> SimpleNamespace:
    fields: dict[str, Any] = {
        "observability_config": SimpleNamespace(
            show_hidden_metrics=False, kv_cache_metrics=False, custom_histogram_buckets=None, enable_mfu_metrics=False
        ),
        "model_config": SimpleNamespace(served_model_name=name, max_model_len=2048, is_diffusion=False),
        "cache_config": SimpleNamespace(metrics_info=lambda: {"block_size": "16"}),
        "speculative_config": None,
        "kv_transfer_config": None,
        "ec_transfer_config": None,
        "watermark_config": None,
        "lora_config": None,
    }
    return SimpleNamespace(**fields | more)


def logger(name: str, **more: Any) -> tuple[StatLoggerManager, SchedulerCounts]:
    manager = StatLoggerManager(
        vllm_config=config(name, **more), custom_stat_loggers=[SchedulerCounts], enable_default_loggers=False
    )
    (counts,) = manager.stat_loggers
    assert isinstance(counts, SchedulerCounts)
    return manager, counts


def test_it_is_vllms_only_logger_and_adds_up() -> None:
    manager, counts = logger("one")
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


def test_the_names_are_all_that_vllm_has() -> None:
    folder = Path(vllm.__file__).parent / "v1/metrics"
    source = "".join((folder / name).read_text() for name in ("loggers.py", "perf.py"))
    known = set(re.findall(r'"(vllm:\w+)"', source)) | {"vllm:cache_config_info"}
    known = {name.removesuffix("_total") for name in known}
    manager, counts = logger("one")
    manager.log_engine_initialized()
    assert known - RARE == {family.name.removesuffix("_total") for family in counts.metrics()} - RARE
    assert known >= RARE
    assert {"vllm:num_requests_running", "vllm:time_to_first_token_seconds", "vllm:kv_cache_usage_perc"} <= known


def test_two_engines_and_a_reload_are_told_apart_by_the_model() -> None:
    speculative = SimpleNamespace(num_speculative_tokens=2)
    engines = {"one": logger("one", speculative_config=speculative)[1], "two": logger("two")[1]}
    engines["one"].record(SchedulerStats(num_running_reqs=3), None)
    iteration = IterationStats()
    iteration.num_generation_tokens = 7
    engines["two"].record(SchedulerStats(num_running_reqs=5), iteration)
    metrics = Metrics()
    metrics.add(Joined(lambda: [engine.metrics() for engine in engines.values()]))
    text = metrics.render()[0].decode()
    assert text.count("# TYPE vllm:num_requests_running gauge") == 1
    assert 'vllm:num_requests_running{engine="0",model_name="one"} 3.0' in text
    assert 'vllm:num_requests_running{engine="0",model_name="two"} 5.0' in text
    assert 'vllm:generation_tokens_total{engine="0",model_name="two"} 7.0' in text
    assert 'vllm:spec_decode_num_drafts_total{engine="0",model_name="one"} 0.0' in text
    engines["two"] = logger("two")[1]  # loaded anew
    del engines["one"]  # unloaded
    text = metrics.render()[0].decode()
    assert 'model_name="one"' not in text
    assert 'vllm:num_requests_running{engine="0",model_name="two"} 0.0' in text


def test_a_plain_logger_of_vllms_does_not_take_ours_away() -> None:
    _, counts = logger("one")
    PrometheusStatLogger(config("theirs"))
    try:
        assert 'model_name="one"' in str(list(counts.metrics())).replace("'model_name': 'one'", 'model_name="one"')
    finally:
        for collector in list(REGISTRY._collector_to_names):
            if getattr(collector, "_name", "").startswith("vllm:"):
                REGISTRY.unregister(collector)
