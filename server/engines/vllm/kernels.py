"""vLLM's own compiled RMS norms, on a processor.

vLLM has the kernels for processors (csrc/cpu/layernorm.cpp), and calls them on GPUs alone (vllm/kernels/vllm_c.py): on
a processor a norm is ten operations of PyTorch, one after the other, each of which goes through the whole tensor
(vllm/ir/ops/layernorm.py). Inductor would make one of them, but nothing is compiled here: it takes minutes at a first
start. What this wins: docs/decisions/026-compiled-norms.md.
"""
# ruff: noqa: ARG001 - vLLM wants the arguments of its own implementations

import torch

PROVIDER = "sagehold"
WIDTH = 16
"""Numbers that the kernel reads at once, at most (csrc/cpu/cpu_types*): a row has to be a multiple of them."""


def register() -> None:
    """In the fork server, before any worker is forked. Nothing changes where vLLM's build has no such kernels."""
    from vllm import ir
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    if PROVIDER in ir.ops.rms_norm.impls or not hasattr(torch.ops._C, "fused_add_rms_norm"):
        return
    norm, added_norm = torch.ops._C.rms_norm, torch.ops._C.fused_add_rms_norm

    def rms_norm(
        x: torch.Tensor, weight: torch.Tensor | None, epsilon: float, variance_size: int | None = None
    ) -> torch.Tensor:
        out = torch.empty_like(x)
        norm(out, x, weight, epsilon)
        return out

    def fused_add_rms_norm(
        x: torch.Tensor,
        x_residual: torch.Tensor,
        weight: torch.Tensor | None,
        epsilon: float,
        variance_size: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        added_norm(x, x_residual, weight, epsilon)
        return x, x_residual

    ir.ops.rms_norm.register_impl(PROVIDER, supports_args=_fits)(rms_norm)
    ir.ops.fused_add_rms_norm.register_impl(PROVIDER, supports_args=_both_fit, inplace=True)(fused_add_rms_norm)


def prefer() -> None:
    """In a worker, once vLLM has made its choice: these before PyTorch's operations. An operator's stay.

    PyTorch's own can't be chosen: to vLLM, naming them is what naming nothing is."""
    from vllm import ir

    for op in (ir.ops.rms_norm, ir.ops.fused_add_rms_norm):
        if PROVIDER in op.impls and op.get_priority() == ["native"]:
            op.set_default([PROVIDER, "native"])


def _fits(x: torch.Tensor, weight: torch.Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    """Whether the kernel takes it: rows that follow each other, as those of a slice do not, of the weight's type."""
    if variance_size is not None or weight is None or weight.dtype != x.dtype:
        return False
    return bool(x.shape[-1] % WIDTH == 0 and x.is_contiguous())


def _both_fit(
    x: torch.Tensor,
    x_residual: torch.Tensor,
    weight: torch.Tensor | None,
    epsilon: float,
    variance_size: int | None = None,
) -> bool:
    return _fits(x, weight, epsilon, variance_size) and x_residual.dtype == x.dtype and x_residual.is_contiguous()
