"""vLLM's compiled norms on a processor: what they compute, and where PyTorch's operations stay."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from vllm import ir
from vllm.platforms import current_platform

from server.engines.vllm import kernels

EPSILON = 1e-5
OPS = (ir.ops.rms_norm, ir.ops.fused_add_rms_norm)
current_platform.import_kernels()
pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops._C, "fused_add_rms_norm"), reason="vLLM's build for processors is not installed"
)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = [list(op.impls) for op in OPS]
    chosen = [op.get_priority() for op in OPS]
    kernels.register()
    yield
    for op, names, priority in zip(OPS, before, chosen, strict=True):
        for name in set(op.impls) - set(names):
            del op.impls[name]
        op.set_default(priority)


def numbers(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def exact(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x · weight / √(mean of x² + ε), each row by itself (arXiv 1910.07467), in float64."""
    wide = x.double()
    return wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + EPSILON) * weight.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 576), (33, 576), (5, 9, 64), (7, 16), (3, 4096)])
def test_a_norm_is_as_near_to_the_exact_one_as_pytorch_s(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, weight = numbers(*shape, dtype=dtype), numbers(shape[-1], dtype=dtype)
    kept = x.clone()
    ours, native = (ir.ops.rms_norm.impls[name].impl_fn(x, weight, EPSILON) for name in (kernels.PROVIDER, "native"))
    assert torch.equal(x, kept)
    assert (ours.dtype, ours.shape) == (dtype, x.shape)
    errors = [(one.double() - exact(x, weight)).abs().max() for one in (ours, native)]
    assert errors[0] <= errors[1] + 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_added_before_a_norm_goes_on_beside_it(dtype: torch.dtype) -> None:
    x, residual, weight = numbers(33, 576, dtype=dtype), numbers(33, 577, dtype=dtype)[:, 1:], numbers(576, dtype=dtype)
    residual = residual.contiguous()
    added = (x.float() + residual.float()).to(dtype)
    ours, left = ir.ops.fused_add_rms_norm.impls[kernels.PROVIDER].impl_fn(x.clone(), residual.clone(), weight, EPSILON)
    assert torch.equal(left, added)
    native, _ = ir.ops.fused_add_rms_norm.impls["native"].impl_fn(x, residual, weight, EPSILON)
    exactly = exact(x.double() + residual.double(), weight)
    errors = [(one.double() - exactly).abs().max() for one in (ours, native)]
    assert errors[0] <= errors[1] + 8 * torch.finfo(dtype).eps


def chosen(op: Any, *arguments: Any) -> str:
    return str(op.dispatch(*arguments, EPSILON).provider)


def test_it_goes_before_pytorch_s_operations_where_it_fits() -> None:
    for op in OPS:
        op.set_default(["native"])
    kernels.prefer()
    x, weight = numbers(4, 64, dtype=torch.bfloat16), numbers(64, dtype=torch.bfloat16)
    assert chosen(ir.ops.rms_norm, x, weight) == kernels.PROVIDER
    assert chosen(ir.ops.rms_norm, x, weight.float()) == "native"
    assert chosen(ir.ops.rms_norm, x, None) == "native"
    odd = numbers(4, 72, dtype=torch.bfloat16)
    assert chosen(ir.ops.rms_norm, odd, odd[0].contiguous()) == "native"
    part = numbers(4, 96, dtype=torch.bfloat16)[:, :64]  # as the queries of a model with norms of them
    assert chosen(ir.ops.rms_norm, part, weight) == "native"
    added = ir.ops.fused_add_rms_norm
    assert chosen(added, x, x, weight) == kernels.PROVIDER
    assert chosen(added, x, part, weight) == "native"
    assert chosen(added, part, x, weight) == "native"
    assert chosen(added, x, x.float(), weight) == "native"
    assert ir.ops.rms_norm.dispatch(x, weight, EPSILON, 32).provider == "native"


def test_what_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.prefer()
    before = [op.get_priority() for op in OPS]
    kernels.register()  # twice is once
    kernels.prefer()
    assert [op.get_priority() for op in OPS] == before
    monkeypatch.delitem(ir.ops.rms_norm.impls, kernels.PROVIDER)
    ir.ops.rms_norm.set_default(["native"])
    kernels.prefer()
    assert ir.ops.rms_norm.get_priority() == ["native"]
