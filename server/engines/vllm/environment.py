"""What vLLM and CUDA find in their environment, where ours differs from their defaults.

Nothing is compiled without need, and memory is counted as the ledger counts it. What an operator has set stays.
"""

import os
from collections.abc import MutableMapping
from importlib import metadata

from server.engines.vllm import sockets

DEFAULTS = {
    # FlashInfer's sampler is vLLM's default, and is compiled with nvcc, g++ and ninja at the first start
    # (vllm/v1/sample/ops/topk_topp_sampler.py). Its precompiled kernels are on no package index for the version that
    # vLLM wants, so the lock leaves FlashInfer out; vLLM's own sampler serves instead.
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    # DeepGEMM compiles its kernels with nvcc 12.9 or newer while it works, and fails without it. vLLM's CUTLASS and
    # Triton kernels serve FP8 models on the same GPUs (vllm/utils/deep_gemm.py: is_deep_gemm_supported).
    "VLLM_USE_DEEP_GEMM": "0",
    "VLLM_MOE_USE_DEEP_GEMM": "0",
}
"""Variables of vLLM's own."""

HUMMING = ("HUMMING_DISABLE_PARALLEL_BUILD", "1")
"""On CUDA vLLM imports humming, kernels for some quantized models, and that starts two compilations in the background:
in the fork server, and in each spawned process, whatever the model. They outlive the process that began them, and
leave threads in one that is to be forked. A model that uses humming compiles at its load without them
(humming/ops/utils.py, humming/utils/nvrtc.py)."""

ORDER = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
"""GPUs are counted by the bus, as NVIDIA's library counts them for the memory ledger."""

ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""Two names of one variable, the first of which wins."""
PINNED = "pinned_max_cached_size_mb:16"
"""Pinned host memory of more than 16 MiB is neither rounded up to a power of two nor kept when it is free (torch,
ATen/core/CachingHostAllocator.h): else the weights of a model that sleeps take up to twice their size of the host, and
keep it once it is awake."""
PINNED_SINCE = (2, 13)
"""The release of torch whose allocator is known to have that key; one that lacks a key refuses to start."""

ARGUMENTS = {
    # Linear attention (Qwen3-Next) takes FlashInfer's kernels on Hopper and Blackwell without a look at whether they
    # are there (vllm/model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py: _resolve_gdn_prefill_backend).
    "gdn_prefill_backend": "triton",
}
"""Arguments of AsyncEngineArgs on GPUs; a model's `extra` wins."""


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the defaults; before vLLM is imported, and before any process that is to inherit them."""
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    environment.setdefault(*HUMMING)
    environment.setdefault(*ORDER)
    sockets.use_own_folder(environment)
    if not any(name in environment for name in ALLOCATOR) and _torch() >= PINNED_SINCE:
        environment[ALLOCATOR[0]] = PINNED


def _torch() -> tuple[int, ...]:
    """The first two numbers of the installed torch's version, without an import of it."""
    try:
        return tuple(int(part) for part in metadata.version("torch").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return ()
