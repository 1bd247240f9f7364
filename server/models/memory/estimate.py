"""How much memory a model will take, before it is loaded: from its config, else from its files.

The host's amounts are what was measured on Linux x86-64 on a processor (docs/performance.md), with a margin; those of
GPUs follow from vLLM's and diffusers' sources and have not been measured. An estimate has to be good enough to refuse
what cannot fit and to leave alone what need not give way: after the load the ledger keeps what the machine reports.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from server.engines.piper.turns import at_once
from server.models.config import weights
from server.models.config.spec import (
    DiffusersModel,
    EmbedModel,
    FakeModel,
    GpuModel,
    ModelSpec,
    PiperModel,
    VllmModel,
    WhisperModel,
)
from server.models.memory import working
from server.models.memory.machine import Machine
from server.models.memory.need import Need

MIB = 2**20
GIB = 2**30

FRONT_END = 128 * MIB
FRONT_END_WITH_VLLM = 768 * MIB
"""Measured: 665 MiB of the front end once vLLM is imported and of the fork server, its copy, most of it in common."""
VLLM_HOST = 384 * MIB
"""Engine core and worker without weights, KV cache and activations. Measured: 251 MiB; the rest of their imports is the
fork server's, which counts with the front end."""
VLLM_HOST_CUDA = 2 * GIB
"""The core on a GPU machine; each worker has half as much again, since CUDA's libraries have their own pages."""
VLLM_WORKER_HOST_CUDA = 3 * GIB
CUDA_CONTEXT = 600 * MIB
LINKS = 512 * MIB
"""Buffers of the links between GPUs (NCCL), on each of them."""

TORCH_HOST = 512 * MIB
"""A worker with torch and diffusers. Measured: 390 MiB."""
TORCH_HOST_CUDA = int(1.5 * GIB)
WHISPER_HOST = 160 * MIB
"""Measured: 93 MiB, and the weights as they lie on the disk."""
WHISPER_WORK = 224 * MIB
"""Measured: 114 MiB, for one window with one beam."""
WHISPER_WINDOW = 96 * MIB
"""For each further window of a batch. Measured: 87 MiB, eight at once of the smallest model with five beams."""
PIPER_HOST = 192 * MIB
"""Measured: 126 MiB with the voice once, 193 MiB with it twice."""
PIPER_WORK = 128 * MIB
"""For each step at once. Measured: 241 MiB for two by one thread each, 82 MiB for one by all of them."""
EMBED_HOST = 96 * MIB
"""Measured: 69 MiB, the weights once, and 11 MiB where ids of cl100k_base are read."""
EMBED_WORK = 192
"""Bytes for each token read at once and each place of its vectors. Measured: 55 MiB for 1,024 tokens of 384."""
PIXEL = 2048
"""Bytes of activations for each pixel decoded at once, in two-byte floats: by the decoder's widest layer."""
DENOISED_PIXEL = 512
"""The same of the denoiser, by the shapes of SDXL's with guidance: two rows a picture, of 320 channels for 64 pixels,
with three skips of each level and the widest feed-forward layer. It rules where the autoencoder works in pieces."""

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


def front_end(models: Iterable[ModelSpec]) -> int:
    """Bytes of host memory that this process and its helpers will have taken once each of `models` was loaded."""
    return FRONT_END_WITH_VLLM if any(isinstance(spec, VllmModel) for spec in models) else FRONT_END


def estimate(spec: ModelSpec, models_dir: Path, machine: Machine) -> Need:
    """What `spec` needs to be loaded on `machine`. Reads sizes and headers of its files: blocking."""
    need = _from_files(spec, models_dir, machine)
    if isinstance(spec, GpuModel):
        need = replace(need, gpus=spec.gpus_needed, among=spec.gpus)
    if spec.host_memory is not None:
        need = replace(need, host=int(spec.host_memory))
    if spec.gpu_memory is not None and need.gpu_share is None:
        need = replace(need, gpu=int(spec.gpu_memory), elastic=False)
    return need


def _from_files(spec: ModelSpec, models_dir: Path, machine: Machine) -> Need:
    match spec:
        case FakeModel():
            return Need()
        case VllmModel():
            return _vllm_on_gpus(spec, models_dir, machine) if machine.gpus else _vllm(spec, models_dir)
        case WhisperModel():
            loaded = weights.stored(spec, models_dir).as_loaded(None)
            # What a window takes grows with the layers and their width, as the weights do.
            others = (spec.max_batch - 1) * max(WHISPER_WINDOW, loaded // 8)
            if _on_gpu(spec.device, machine):
                work = loaded // 2 + WHISPER_WORK + others
                gpu = CUDA_CONTEXT + loaded + work
                return Need(host=TORCH_HOST_CUDA, gpu=gpu, loading=loaded, gpu_at_work=work)
            work = WHISPER_WORK + others
            return Need(host=WHISPER_HOST + loaded + work, at_work=work)
        case PiperModel():
            loaded = weights.stored(spec, models_dir).as_loaded(None)
            steps = at_once(spec.threads)
            # Where steps run side by side, the voice is there twice, and each of the two keeps memory to work with.
            voices = loaded if steps == 1 else 2 * loaded
            work = PIPER_WORK * (steps if steps == 1 else steps + 1)
            return Need(host=PIPER_HOST + voices + work, at_work=work)
        case EmbedModel():
            loaded = weights.stored(spec, models_dir).as_loaded(None)
            size = working.read_config(weights.location(spec, models_dir)).get("hidden_size") or 1024
            work = spec.tokens_at_once * int(size) * EMBED_WORK
            # The graph's file is read whole, and its weights are copied out of it.
            return Need(host=EMBED_HOST + loaded + work, at_work=work, loading=loaded)
        case DiffusersModel():
            return _diffusers(spec, models_dir, gpu=_on_gpu(spec.device, machine))


def _vllm(spec: VllmModel, models_dir: Path) -> Need:
    """On a processor: every worker in host memory."""
    # `auto` may mean bfloat16 on some processors; float32 is the safe side of not knowing.
    width = WIDTHS.get(spec.dtype, 4)
    config = working.read_config(weights.location(spec, models_dir))
    once = _beside(spec, models_dir, width) + weights.stored(spec, models_dir).as_loaded(width) + spec.kv_cache
    work = working.activations(spec, config, gpu_total=0, width=width) * spec.gpus_needed
    return Need(host=VLLM_HOST * spec.gpus_needed + once * spec.data_parallel_size + work, at_work=work)


def _vllm_on_gpus(spec: VllmModel, models_dir: Path, machine: Machine) -> Need:
    parts = spec.tensor_parallel_size * spec.pipeline_parallel_size
    width = WIDTHS.get(spec.dtype, 2)
    loaded = -(-weights.stored(spec, models_dir).as_loaded(width) // parts)
    offloaded = min(int(spec.cpu_offload), loaded)
    loaded += _beside(spec, models_dir, width) - offloaded
    host = VLLM_HOST_CUDA * spec.data_parallel_size + (VLLM_WORKER_HOST_CUDA + offloaded) * spec.gpus_needed
    outside = CUDA_CONTEXT + (LINKS if parts > 1 else 0)
    total = max(gpu.total for gpu in machine.gpus)
    captured = working.graphs(spec, loaded)
    config = working.read_config(weights.location(spec, models_dir))
    # They are allocated while the weights are loaded, and go where these go (vllm/v1/worker/gpu_worker.py, load_model).
    counts = working.counts(spec, config, gpu_total=total)
    asleep = (loaded + counts) * spec.gpus_needed
    # Graphs would move with sleep_mode_offload_cudagraph only (vllm/config/vllm.py, use_cumem_cudagraph_pool).
    staying = outside + captured
    if spec.gpu_memory_utilization is not None:
        share = spec.gpu_memory_utilization
        # vLLM itself fills the share. Pinned host memory, where offloaded weights lie, may not show in a report.
        return Need(
            host=host,
            gpu_share=share,
            at_work=offloaded * spec.gpus_needed,
            gpu_at_work=total,
            outside=outside,
            asleep=asleep,
            staying=staying,
        )
    fixed = loaded + counts + captured + outside + working.activations(spec, config, gpu_total=total, width=width)
    gpu = fixed + spec.kv_cache // parts
    return Need(
        host=host,
        gpu=gpu,
        at_work=offloaded * spec.gpus_needed,
        # The KV cache is made as large as the allotment allows: nothing of that is to be given away.
        gpu_at_work=total,
        fixed=fixed,
        outside=outside,
        asleep=asleep,
        staying=staying,
        elastic=True,
    )


def _beside(spec: VllmModel, models_dir: Path, width: int) -> int:
    """Bytes of adapters and of a drafting model: each worker has them whole, to be on the safe side."""
    folders = [models_dir / adapter.path for adapter in spec.adapters]
    if spec.speculative_config is not None and isinstance(draft := spec.speculative_config.get("model"), str):
        folders.append(models_dir / draft)
    return sum(weights.in_folder(folder.resolve()).as_loaded(width) for folder in folders)


def _diffusers(spec: DiffusersModel, models_dir: Path, *, gpu: bool) -> Need:
    width = WIDTHS.get(spec.dtype, 2 if gpu else 4)
    parts = [part.as_loaded(width) for part in weights.parts(spec, models_dir).values()]
    scorer = 0 if spec.scorer is None else weights.in_folder((models_dir / spec.scorer).resolve()).as_loaded(width)
    whole = sum(parts) + scorer
    # As many pictures as a batch may have, of the model's own size: the engine draws fewer of larger ones at once. They
    # are decoded all at once or one by one, and whole or in tiles of a quarter of the model's own size.
    picture = spec.size[0] * spec.size[1]
    pixels = picture * spec.max_batch
    at_once = picture if spec.sliced else pixels
    work = max(pixels * DENOISED_PIXEL, (at_once // 4 if spec.tiling else at_once) * PIXEL) * width // 2
    if not gpu:
        return Need(host=TORCH_HOST + whole + work, at_work=work)
    if spec.offload == "none":
        # File by file, the weights pass through host memory.
        passing = weights.largest(spec, models_dir)
        return Need(host=TORCH_HOST_CUDA, gpu=CUDA_CONTEXT + whole + work, loading=passing, gpu_at_work=work)
    largest = max(parts, default=0)
    there = largest if spec.offload == "model" else min(largest, GIB)
    return Need(
        host=TORCH_HOST_CUDA + sum(parts),
        gpu=CUDA_CONTEXT + there + scorer + work,
        loading=scorer,
        gpu_at_work=there + work,
    )


def _on_gpu(device: str, machine: Machine) -> bool:
    return device == "cuda" or (device == "auto" and bool(machine.gpus))
