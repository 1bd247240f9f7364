"""vLLM's environment variables and arguments where ours differ from its defaults: nothing is compiled without need.

What an operator has set stays as it is.
"""

import os
from collections.abc import MutableMapping

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
