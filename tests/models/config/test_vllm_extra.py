"""`extra` passes what vLLM knows and this server does not decide; nothing through it goes round the memory ledger."""

import pytest
from pydantic import ValidationError

from server.engines.vllm import vocabulary
from server.models.config.spec import ModelBase, VllmModel
from server.models.config.vllm_extra import FIELD_OF, REFUSED, refusal


def spec(**extra: object) -> VllmModel:
    return VllmModel.model_validate({"name": "x", "engine": "vllm", "path": "x", "extra": extra})


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("tensor_parallel_size", 2, "use the field `tensor_parallel_size`"),
        ("gpu_memory_utilization", 0.9, "use the field `gpu_memory_utilization`"),
        ("kv_cache_memory_bytes", 1, "use the field `kv_cache`"),
        ("spec_method", "ngram", "use the field `speculative_config`"),
        ("prefill_context_parallel_size", 2, "use the field `tensor_parallel_size`"),
        ("max_cpu_loras", 4, "use the field `adapters`"),
        ("kv_offloading_size", 8, "no ledger counts"),
        ("offload_group_size", 8, "use the field `cpu_offload`"),
        ("distributed_executor_backend", "ray", "this machine alone"),
        ("_api_process_count", 4, "this machine alone"),
        ("enable_sleep_mode", False, "when a model sleeps"),
        ("structured_outputs_config", {"backend": "xgrammar"}, "JSON Schema"),
        ("enable_log_requests", True, "without what was said"),
        ("allowed_local_media_path", "/", "fetched and checked"),
        ("runner", "pooling", "would not answer chat requests"),
    ],
)
def test_what_the_server_decides_is_refused_with_what_to_do(argument: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**{argument: value})
    assert f"{argument}: " in str(caught.value)
    assert message in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ValidationError, match=r"max_loras: use .*; runner: "):
        spec(max_loras=2, runner="pooling")


def test_the_rest_passes() -> None:
    extra = {"enable_prefix_caching": False, "block_size": 32, "trust_remote_code": True, "async_scheduling": False}
    assert spec(**extra).extra == extra


def test_each_field_named_is_one_of_a_chat_models() -> None:
    assert set(FIELD_OF.values()) <= VllmModel.model_fields.keys() | ModelBase.model_fields.keys()
    assert not FIELD_OF.keys() & REFUSED.keys()


def test_each_argument_named_is_one_of_vllms() -> None:
    assert FIELD_OF.keys() | REFUSED.keys() <= vocabulary.engine_arguments()


def test_what_moves_memory_processes_or_requests_has_been_decided_about() -> None:
    """A new release of vLLM may bring arguments of these kinds: each is to be refused, or named here as harmless."""
    kinds = ("offload", "lora", "parallel_size", "sleep", "gpu_memory", "kv_cache_memory", "node", "master_", "spec_")
    harmless = {
        "decode_context_parallel_size",  # the GPUs of tensor parallelism, used twice
        "enable_mixed_moe_lora_format",
        "enable_moe_shared_loras",
        "enable_tower_connector_lora",
        "fully_sharded_loras",
        "lora_dtype",
        "lora_target_modules",
        "max_lora_cls_labels",
        "mm_ipc_gpu_memory_gb",  # a limit
        "numa_bind_nodes",
        "per_request_spec_decode_metrics",
        "sleep_mode_offload_cudagraph",
        "sleep_preserve_parameter_names",
        "specialize_active_lora",
    }
    found = {name for name in vocabulary.engine_arguments() if any(kind in name for kind in kinds)}
    assert {name for name in found if refusal(name) is None} == harmless
