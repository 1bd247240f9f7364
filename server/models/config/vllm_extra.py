"""Which of vLLM's engine arguments may not come through a chat model's `extra`, and what to do instead.

Those that have a field here, since the memory ledger and the catalog read the field; and those that would undo what
this server does itself: its books, its processes, or its promises about an answer. All others are the operator's.
"""

from collections.abc import Mapping
from types import MappingProxyType

FIELD_OF: Mapping[str, str] = MappingProxyType(
    {
        "cpu_offload_gb": "cpu_offload",
        "data_parallel_size": "data_parallel_size",
        "data_parallel_size_local": "data_parallel_size",
        "default_mm_loras": "adapters",
        "device_ids": "gpus",
        "dtype": "dtype",
        "enable_lora": "adapters",
        "enforce_eager": "eager",
        "gpu_memory_utilization": "gpu_memory_utilization",
        "hf_overrides": "hf_overrides",
        "kv_cache_dtype": "kv_cache_dtype",
        "kv_cache_memory_bytes": "kv_cache",
        "language_model_only": "images",
        "limit_mm_per_prompt": "images",
        "load_format": "load_format",
        "max_cpu_loras": "adapters",
        "max_lora_rank": "adapters",
        "max_loras": "adapters",
        "max_model_len": "max_model_len",
        "max_num_active_seqs": "max_num_seqs",
        "max_num_batched_tokens": "max_num_batched_tokens",
        "max_num_queued_reqs": "max_queue",
        "max_num_queued_tokens": "max_queue",
        "max_num_seqs": "max_num_seqs",
        "model": "path",
        "model_weights": "path",
        "num_gpu_blocks_override": "kv_cache",
        "pipeline_parallel_size": "pipeline_parallel_size",
        "prefill_context_parallel_size": "tensor_parallel_size",
        "quantization": "quantization",
        "reasoning_parser": "reasoning_parser",
        "served_model_name": "name",
        "spec_method": "speculative_config",
        "spec_model": "speculative_config",
        "spec_tokens": "speculative_config",
        "speculative_config": "speculative_config",
        "tensor_parallel_size": "tensor_parallel_size",
        "tokenizer_mode": "tokenizer_mode",
    }
)
"""vLLM's arguments that have a field here, and that field."""

_HOST = "it takes host memory that no ledger counts; use the field `cpu_offload`"
_KV = "it keeps KV caches in memory or on servers that no ledger counts"
_MACHINE = "a model is served by this machine alone, in processes that this server starts and watches"
_SLEEP = "the server decides when a model sleeps"
_ANSWER = "answers are kept to a JSON Schema by the server's own setting of it"
_LOG = "the server logs requests itself, without what was said in them"
_PICTURES = "pictures reach the engine as data, fetched and checked by the server"
_CHAT = "the model would not answer chat requests"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "_api_process_count": _MACHINE,
        "_api_process_rank": _MACHINE,
        "allowed_local_media_path": _PICTURES,
        "allowed_media_domains": _PICTURES,
        "convert": _CHAT,
        "cpu_offload_params": _HOST,
        "data_parallel_address": _MACHINE,
        "data_parallel_backend": _MACHINE,
        "data_parallel_external_lb": _MACHINE,
        "data_parallel_hybrid_lb": _MACHINE,
        "data_parallel_multi_port_external_lb": _MACHINE,
        "data_parallel_rank": _MACHINE,
        "data_parallel_rpc_port": _MACHINE,
        "data_parallel_start_rank": _MACHINE,
        "disable_log_stats": "the server keeps the engine's counts itself",
        "distributed_executor_backend": _MACHINE,
        "ec_transfer_config": _KV,
        "elastic_ep_max_dp_size": _MACHINE,
        "enable_cumem_allocator": _SLEEP,
        "enable_elastic_ep": _MACHINE,
        "enable_log_requests": _LOG,
        "enable_sleep_mode": _SLEEP,
        "kv_offloading_backend": _KV,
        "kv_offloading_size": _KV,
        "kv_transfer_config": _KV,
        "master_addr": _MACHINE,
        "master_port": _MACHINE,
        "mm_encoder_only": _CHAT,
        "nnodes": _MACHINE,
        "node_rank": _MACHINE,
        "offload_backend": _HOST,
        "offload_group_size": _HOST,
        "offload_num_in_group": _HOST,
        "offload_params": _HOST,
        "offload_prefetch_step": _HOST,
        "pooler_config": _CHAT,
        "runner": _CHAT,
        "shutdown_timeout": "the server ends its models in its own time",
        "skip_tokenizer_init": _CHAT,
        "structured_outputs_config": _ANSWER,
        "tokens_only": _CHAT,
    }
)
"""vLLM's arguments that the server decides about by itself, and why."""


def refusal(name: str) -> str | None:
    """What is said of an argument that may not come through `extra`; None where it may."""
    if (field := FIELD_OF.get(name)) is not None:
        return f"use the field `{field}`"
    return REFUSED.get(name)
