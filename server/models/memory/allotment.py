"""What a model may take: the ledger's answer to its need."""

from dataclasses import dataclass

from server.engines.devices.gpus import Gpu
from server.models.memory.need import Need


@dataclass(frozen=True, slots=True)
class Allotment:
    """host: bytes of the host. gpus: where the model is placed. gpu: bytes of each of them.

    kv_cache: the part of `gpu` that is for the KV cache; None for an engine without one.
    gpu_share: share of each GPU's memory that must be free once the engine's processes have begun; None without GPUs.
    """

    host: int = 0
    gpu: int = 0
    gpus: tuple[Gpu, ...] = ()
    kv_cache: int | None = None
    gpu_share: float | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(gpu.number for gpu in self.gpus)


def allotted(need: Need, gpu: int, gpus: tuple[Gpu, ...]) -> Allotment:
    """`gpu` bytes of each of `gpus`, in the terms that engines are started with."""
    if not gpus:
        return Allotment(need.host)
    # vLLM refuses to start with less, after contexts are made: a tenth is left to what they take more than planned.
    # By the largest GPU, where they differ: that share of each is there.
    share = 0.9 * max(1, gpu - need.outside) / max(one.total for one in gpus)
    return Allotment(need.host, gpu, gpus, None if need.fixed is None else gpu - need.fixed, share)
