"""What vLLM's processes find in their environment on a GPU machine, where the operator has said nothing else."""

import os

ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
PINNED = "pinned_max_cached_size_mb:16"


def prepare() -> None:
    """Set it in this process, before vLLM is imported.

    GPUs are counted by the bus, as NVIDIA's library counts them for the memory ledger. Pinned host memory of more than
    16 MiB is neither rounded up to a power of two nor kept when it is free (torch, ATen/core/CachingHostAllocator.h):
    else the weights of a model that sleeps take up to twice their size of the host, and keep it once it is awake.
    """
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if not any(name in os.environ for name in ALLOCATOR):
        os.environ[ALLOCATOR[0]] = PINNED
