"""What a model needs in order to be loaded: bytes of the host, and of each GPU that it takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes. All amounts on GPUs are those of each one GPU that the model takes: its parts are alike.

    Example: 16 GiB of weights split over two GPUs, with 2 GiB of contexts, activations and graphs and 1 GiB of KV cache
    on each, are `gpu=11 GiB, gpus=2, fixed=10 GiB`.

    host, gpu: once it works. gpu_share: where the config gives the GPU memory as a share, that; in place of `gpu`.
    gpus: how many it takes, where it takes any. among: the GPUs that it may be placed on; None: any.
    loading: host memory that it takes beyond `host` until it is loaded.
    at_work, gpu_at_work: what of `host` and `gpu` an idle engine does not hold yet: activations, caches that fill.
    fixed: of `gpu`, all but the KV cache; None: it has none. outside: of `fixed`, what is taken before vLLM looks at
    how much is free: CUDA context and buffers of the links between GPUs.
    asleep: host memory that it takes beyond `host` while it sleeps, for what its GPUs held.
    staying: of `gpu`, what it holds while it sleeps.
    elastic: more GPU memory than this is put to use, as a larger KV cache.
    """

    host: int = 0
    gpu: int = 0
    gpu_share: float | None = None
    gpus: int = 1
    among: tuple[int, ...] | None = None
    loading: int = 0
    at_work: int = 0
    gpu_at_work: int = 0
    fixed: int | None = None
    outside: int = 0
    asleep: int = 0
    staying: int = 0
    elastic: bool = False

    @property
    def on_gpu(self) -> bool:
        return self.gpu > 0 or self.gpu_share is not None

    def of_gpu(self, total: int) -> int:
        """Bytes of a GPU that has `total`."""
        return self.gpu if self.gpu_share is None else int(self.gpu_share * total)
