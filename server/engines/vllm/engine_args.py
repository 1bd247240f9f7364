"""What vLLM's AsyncEngineArgs is given for a model, by its options and by the build that is installed."""

import os
from typing import Any

from server.engines.vllm import adapters, environment, hardware
from server.engines.vllm.options import VllmOptions

SEQUENCES_A_CORE = 16
"""In one batch on a processor, where the config says nothing. With more of them a step takes longer, for which whoever
comes waits, and the throughput hardly rises: figures of two cores in docs/decisions/015-fair-queue.md."""
NEWCOMERS = 7
"""One place for so many others comes on top, which an account leaves free as long as it is alone (ibid.). Out of the 16
a core it would be missed: 64 requests came in three waves of 28, 28 and 8, the last of which fills no step."""
STEP_TOKENS = 512
"""In one step on a processor, of prompts above all. 2,048, as vLLM has it, take seconds for which all wait, and make
prompts no faster. Figures as above."""
MOST_SEQUENCES = 128
"""vLLM's own default for a processor."""
SCHEDULERS = tuple(f"server.engines.vllm.scheduler.Yielding{kind}Scheduler" for kind in ("", "Async"))
"""Ours in place of vLLM's two, see there. By name: they are loaded in vLLM's core only."""


def arguments(options: VllmOptions) -> dict[str, Any]:
    """By AsyncEngineArgs' own names. What the config's `extra` says wins."""
    from vllm.config import StructuredOutputsConfig

    cuda = hardware.cuda()
    arguments: dict[str, Any] = {
        "model": str(options.path),
        "served_model_name": options.name,
        "dtype": options.dtype,
        "enforce_eager": not cuda if options.eager is None else options.eager,
        "enable_prefix_caching": True,
        "tensor_parallel_size": options.tensor_parallel_size,
        "pipeline_parallel_size": options.pipeline_parallel_size,
        "data_parallel_size": options.data_parallel_size,
        "cpu_offload_gb": options.cpu_offload / 2**30,
        # Who has much at work already stands back where a step or the KV cache can't hold all.
        "scheduling_policy": "priority",
        # Requests are logged by the front end, without their text.
        "enable_log_requests": False,
        "use_tqdm_on_load": False,
        # llguidance knows most of JSON Schema and needs no compilation; without free whitespace a small model
        # can't wander off into blank lines.
        "structured_outputs_config": StructuredOutputsConfig(backend="guidance", disable_any_whitespace=True),
        # Videos come in no request here; how many pictures and sounds there may be, the front end says.
        "limit_mm_per_prompt": {"video": 0}
        | ({} if options.audio else {"audio": 0})
        | ({} if options.images else {"image": 0}),
        # It would try two packages first that are not installed, and log an error for each sound.
        "media_io_kwargs": {"audio": {"audio_backend": "pyav"}},
    }
    if cuda:
        arguments |= environment.ARGUMENTS
        arguments["enable_sleep_mode"] = True
        # Numbers among the GPUs that CUDA_VISIBLE_DEVICES names (vllm/engine/arg_utils.py, _resolve_device_ids).
        arguments["device_ids"] = list(options.gpus) or None
        if options.gpu_memory_utilization is not None:
            arguments["gpu_memory_utilization"] = options.gpu_memory_utilization
        elif options.gpu_share is not None:
            # Set, it ends vLLM's own measuring, which what neighbours free meanwhile would spoil. The share is
            # then only what must be free when the worker begins (vllm/v1/worker/utils.py, request_memory).
            arguments["kv_cache_memory_bytes"] = options.kv_cache
            arguments["gpu_memory_utilization"] = options.gpu_share
    else:
        # Each worker of a model that is split takes this much for its part of the layers.
        parts = options.tensor_parallel_size * options.pipeline_parallel_size
        arguments["kv_cache_memory_bytes"] = options.kv_cache // parts
        if options.dtype == "auto":
            arguments["dtype"] = hardware.processor_dtype()
        if not (options.images or options.audio):  # a picture must fit into a step
            arguments["max_num_batched_tokens"] = max(STEP_TOKENS, options.max_num_seqs or 0)
        sequences = SEQUENCES_A_CORE * (os.cpu_count() or 1)
        arguments["max_num_seqs"] = min(MOST_SEQUENCES, sequences + sequences // NEWCOMERS)
    for name in (
        "max_model_len", "max_num_seqs", "max_num_batched_tokens", "quantization", "kv_cache_dtype",
        "tokenizer_mode", "load_format", "reasoning_parser",
    ):  # fmt: skip
        if (value := getattr(options, name)) is not None:
            arguments[name] = value
    if options.speculative_config is not None:
        arguments["speculative_config"] = dict(options.speculative_config)
    if options.hf_overrides:
        arguments["hf_overrides"] = dict(options.hf_overrides)
    return arguments | adapters.arguments(options.adapters) | dict(options.extra)


def scheduler(config: Any) -> str | None:
    """What `scheduler_cls` of a made SchedulerConfig has to be; None where another one is chosen already, or where
    requests have no rank. Which of the two it is, vLLM decides as it makes the configuration."""
    if config.scheduler_cls is not None or config.policy != "priority":
        return None
    return SCHEDULERS[bool(config.async_scheduling)]
