"""What this installation on this machine can't honour of a chat model's config: refused, rather than left out.

No vLLM in it: the packages are looked for, not imported.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from server.engines.vllm.complaint import Complaint

LOADERS: Mapping[str, str] = {
    "fastsafetensors": "fastsafetensors",
    "instanttensor": "instanttensor",
    "modelexpress": "modelexpress",
    "runai_streamer": "runai-model-streamer",
    "runai_streamer_sharded": "runai-model-streamer",
    "tensorizer": "tensorizer",
}
"""The distribution that each load format needs; the others need none."""

GPU_LOADERS = ("fastsafetensors", "instanttensor")
"""Load formats that put weights straight onto a GPU (vllm/model_executor/model_loader/weight_utils.py)."""

GPU_ONLY: Mapping[str, str] = {
    "gpus": "there is no GPU to choose",
    "gpu_memory_utilization": "there is no GPU; `kv_cache` is what the KV cache takes",
    "cpu_offload": "there is no GPU whose weights could wait in host memory",
}
"""Fields that mean nothing on a processor."""

PROCESSOR_KV = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
"""Types of KV cache that vLLM has on processors (vllm/v1/attention/backends/cpu_attn.py, supported_kv_cache_dtypes)."""


WITHOUT_TORCHVISION = ("Idefics3ForConditionalGeneration",)
"""Models whose pictures are prepared by Pillow where there is no torchvision, as a test shows. vLLM's code for most
others imports it."""


def complaints(said: Mapping[str, Any], *, cuda: bool, architectures: Sequence[str] = ()) -> Iterator[Complaint]:
    """What can't be kept here.

    said: the fields of `VllmOptions`, by name; cuda: whether vLLM works on a GPU; architectures: the model's own, by
    its config.json.
    """
    form = said["load_format"]
    loader = LOADERS.get(form or "")
    if not cuda and form in GPU_LOADERS:
        yield Complaint(("load_format",), f"can't be kept on a processor: {form} loads onto a GPU")
    elif loader is not None and not installed(loader):
        yield Complaint(("load_format",), f"{form} needs the package {loader}, which is not installed")
    pillow = any(one in WITHOUT_TORCHVISION for one in architectures)
    if said["images"] and (reason := no_pictures(pillow=pillow)):
        yield Complaint(("images",), reason)
    if not cuda:
        for field, reason in GPU_ONLY.items():
            if said[field]:
                yield Complaint((field,), f"can't be kept on a processor: {reason}")
        if said["kv_cache_dtype"] not in (None, *PROCESSOR_KV):
            reason = f"can't be kept on a processor: its types of KV cache are {', '.join(PROCESSOR_KV)}"
            yield Complaint(("kv_cache_dtype",), reason)


def no_pictures(*, pillow: bool = False) -> str | None:
    """Why models can't see pictures here: vLLM's image processors need a torchvision that matches torch.

    pillow: whether this model's can do without any.
    """
    version = _version("torchvision")
    if version is None:
        if pillow:
            return None
        return "pictures need the package torchvision, which is not installed (the processor's lock leaves it out)"
    torch = _version("torch") or ""
    wanted = _torch_of(metadata.requires("torchvision") or ())
    if wanted is not None and wanted != torch.partition("+")[0]:
        return f"torchvision {version} belongs to torch {wanted}, and torch {torch} is installed"
    # A build for CUDA can't be imported beside one for processors: operator torchvision::nms does not exist.
    build, other = torch.partition("+")[2], version.partition("+")[2]
    if build != other and "cpu" in (build, other):
        return f"torchvision {version} and torch {torch} are builds for different hardware"
    return None


def installed(distribution: str) -> bool:
    return _version(distribution) is not None


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _torch_of(requirements: list[str] | tuple[()]) -> str | None:
    """The version that `torch==2.13.0` asks for."""
    for requirement in requirements:
        if found := re.match(r"torch\s*\(?==\s*([\w.]+)", requirement):
            return found[1]
    return None
