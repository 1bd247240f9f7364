"""How much memory a model will take, told before it is loaded: from its config, else from its files.

The overheads are what was measured on Linux x86-64 (idle workers of each engine), rounded up. An estimate only has to
be good enough to refuse what cannot fit: after the load the ledger keeps what the machine reports.
"""

from dataclasses import dataclass
from pathlib import Path

from server.models import weights
from server.models.machine import Machine
from server.models.spec import DiffusersModel, FakeModel, ModelSpec, PiperModel, VllmModel, WhisperModel

MIB = 2**20
GIB = 2**30

VLLM_HOST = int(2.2 * GIB)
"""Front end's imports, engine core and worker, each with torch; without weights and KV cache."""
VLLM_HOST_CUDA = 5 * GIB
VLLM_GPU = int(1.5 * GIB)
"""CUDA context, activations and graphs of one vLLM worker."""
TORCH_HOST = int(1.2 * GIB)
CUDA_CONTEXT = 600 * MIB
WHISPER_HOST = 400 * MIB
PIPER_HOST = 200 * MIB
PIXEL = 2048
"""Bytes of activations for each pixel drawn at once, in two-byte floats: the decoder's widest layer rules."""

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of each kind. `elastic`: more GPU memory than this is put to use, as a larger KV cache."""

    host: int = 0
    gpu: int = 0
    elastic: bool = False


def estimate(spec: ModelSpec, models_dir: Path, machine: Machine) -> Need:
    """What `spec` needs to be loaded on `machine`. Reads sizes and headers of its files: blocking."""
    need = _from_files(spec, models_dir, machine)
    return Need(
        host=need.host if spec.host_memory is None else int(spec.host_memory),
        gpu=need.gpu if spec.gpu_memory is None else int(spec.gpu_memory),
        elastic=need.elastic and spec.gpu_memory is None,
    )


def _from_files(spec: ModelSpec, models_dir: Path, machine: Machine) -> Need:
    if isinstance(spec, FakeModel):
        return Need()
    held = weights.stored(spec, models_dir)
    match spec:
        case VllmModel() if machine.gpu:
            parts = spec.tensor_parallel_size
            if spec.gpu_memory_utilization is not None:
                return Need(VLLM_HOST_CUDA, int(spec.gpu_memory_utilization * machine.gpu))
            loaded = held.as_loaded(WIDTHS.get(spec.dtype, 2))
            return Need(VLLM_HOST_CUDA, (loaded + spec.kv_cache) // parts + VLLM_GPU, elastic=True)
        case VllmModel():
            # `auto` may mean bfloat16 on some processors; float32 is the safe side of not knowing.
            return Need(VLLM_HOST + held.as_loaded(WIDTHS.get(spec.dtype, 4)) + spec.kv_cache)
        case WhisperModel():
            loaded = held.as_loaded(None)
            if _on_gpu(spec.device, machine):
                return Need(TORCH_HOST, CUDA_CONTEXT + loaded + loaded // 2)
            return Need(WHISPER_HOST + loaded + loaded // 2)
        case PiperModel():
            return Need(PIPER_HOST + 2 * held.as_loaded(None))
        case DiffusersModel():
            gpu = _on_gpu(spec.device, machine)
            width = WIDTHS.get(spec.dtype, 2 if gpu else 4)
            pixels = spec.size[0] * spec.size[1] * spec.max_batch
            loaded = held.as_loaded(width) + pixels * PIXEL * width // 2
            return Need(TORCH_HOST, CUDA_CONTEXT + loaded) if gpu else Need(TORCH_HOST + loaded)


def _on_gpu(device: str, machine: Machine) -> bool:
    return device == "cuda" or (device == "auto" and machine.gpu > 0)
