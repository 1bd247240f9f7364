"""From a folder to a pipeline in its place: device, type of numbers, offload, tiling, attention, compilation."""

import importlib.util
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

from server.errors import ModelUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiffusersOptions:
    """The fields of `DiffusersModel` in server/models/config/spec.py that the engine needs, described there."""

    path: str
    size: tuple[int, int]
    sizes: tuple[str, ...] = ()
    resample: str = "none"
    steps: int = 30
    guidance: float = 7.5
    dtype: str = "auto"
    device: str = "auto"
    offload: str = "none"
    tiling: bool = False
    slicing: bool | None = None
    channels_last: bool = False
    attention: str | None = None
    compile: bool = False
    variant: str | None = None
    max_batch: int = 4
    scorer: str | None = None
    threads: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "DiffusersOptions":
        """From a mapping that may hold more than these."""
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


def load(options: DiffusersOptions) -> tuple[Any, torch.device]:
    """The pipeline as the config wants it, and the device that it draws on. Raises ModelUnavailable."""
    folder = Path(options.path)
    if not (folder / "model_index.json").is_file():
        raise ModelUnavailable("The image model's folder holds no model_index.json.")
    device = device_for(options.device)
    if options.compile:
        demand_compilers(device)
    offload = options.offload if device.type == "cuda" else "none"
    if offload != options.offload:
        # Not refused: what it is for, weights in host memory until they are needed, is so on a processor anyhow, and
        # the same config shall start on the machine without a GPU on which it is tried out.
        log.warning("offload: %s has no meaning on a processor, whose memory is the host's", options.offload)
    pipeline = _read(folder, options, device, straight=offload == "none")
    pipeline.set_progress_bar_config(disable=True)
    prepare(pipeline, device, options, offload=offload)
    return pipeline, device


def device_for(name: str) -> torch.device:
    """The device of that name in a config; auto takes a GPU if there is one. Raises ModelUnavailable.

    A worker sees the GPU it was given as its first and only one (CUDA_VISIBLE_DEVICES).
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ModelUnavailable("The config says `device: cuda`, and torch finds no GPU here.")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def dtype_for(name: str, device: torch.device) -> torch.dtype:
    """The type of that name in a config; auto is float32 on a processor and the best that the GPU computes in."""
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        # Cards before Ampere emulate bfloat16, many times slower.
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    chosen: torch.dtype = getattr(torch, name)
    if device.type == "cuda" and chosen is torch.bfloat16 and not torch.cuda.is_bf16_supported(False):
        log.warning("dtype: bfloat16 is emulated by this GPU, which is slow; float16 is not")
    return chosen


def demand_compilers(device: torch.device) -> None:
    """Raises ModelUnavailable where torch.compile would fail at the first picture for want of a compiler."""
    wanted: list[tuple[str, tuple[str, ...], str]] = [("CXX", ("g++", "clang++"), "a C++ compiler (g++)")]
    if device.type == "cuda":
        wanted.append(("CC", ("gcc", "clang", "cc"), "a C compiler (gcc)"))
        if importlib.util.find_spec("triton") is None:
            raise ModelUnavailable("The config says `compile: true`, which needs the package triton on a GPU.")
    for variable, names, meant in wanted:
        candidates = [os.environ[variable]] if os.environ.get(variable) else names
        if not any(map(shutil.which, candidates)):
            raise ModelUnavailable(f"The config says `compile: true`, which needs {meant}, and there is none.")


def _read(folder: Path, options: DiffusersOptions, device: torch.device, *, straight: bool) -> Any:
    """straight: each file of weights goes to the device as it is read, so that the host holds no more than the largest
    tensor of it; without, the whole pipeline is in host memory first."""
    try:
        return DiffusionPipeline.from_pretrained(
            folder,
            dtype=dtype_for(options.dtype, device),
            variant=options.variant,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            device_map=device.type if straight else None,
        )
    except (OSError, ValueError) as error:
        log.error("the pipeline in %s could not be loaded: %s", folder, error)
        raise ModelUnavailable(
            "The image model's folder is incomplete, wants code of its own, or its weights are not safetensors."
        ) from error


def prepare(pipeline: Any, device: torch.device, options: DiffusersOptions, *, offload: str) -> None:
    """Set up a pipeline that was read. offload: none, model or sequential. Raises ModelUnavailable."""
    kind = type(pipeline).__name__
    if options.tiling:
        _decode(pipeline, "tiling")
    if options.slicing or (options.tiling and options.slicing is None and hasattr(pipeline.vae, "use_slicing")):
        _decode(pipeline, "slicing")
    if options.channels_last:
        _keep_channels_together(pipeline)
    if options.attention is not None:
        _choose_attention(pipeline, options.attention, device)
    if options.compile:
        # Before the hooks of an offload are set: these stay outside of what is compiled.
        _compile(pipeline)
    try:
        match offload:
            case "model":
                pipeline.enable_model_cpu_offload(device=device)
            case "sequential":
                pipeline.enable_sequential_cpu_offload(device=device)
            case _:
                pipeline.to(device)
    except (ValueError, NotImplementedError) as error:
        log.error("%s: %s", kind, error)
        raise ModelUnavailable(f"The config says `offload: {offload}`, which a {kind} can't do.") from error


def _decode(pipeline: Any, how: str) -> None:
    """how: tiling or slicing."""
    autoencoder = getattr(pipeline, "vae", None)
    try:
        getattr(autoencoder, f"enable_{how}")()
    except (AttributeError, NotImplementedError) as error:
        message = f"The config says `{how}: true`, which the autoencoder of a {type(pipeline).__name__} can't do."
        raise ModelUnavailable(message) from error


def _keep_channels_together(pipeline: Any) -> None:
    denoiser = getattr(pipeline, "unet", None)
    if denoiser is None:
        message = f"The config says `channels_last: true`, which brings a {type(pipeline).__name__} nothing: it has no "
        raise ModelUnavailable(message + "UNet.")
    denoiser.to(memory_format=torch.channels_last)
    if getattr(pipeline, "vae", None) is not None:
        pipeline.vae.to(memory_format=torch.channels_last)


def _choose_attention(pipeline: Any, name: str, device: torch.device) -> None:
    """name: of diffusers' AttentionBackendName. Without a GPU, what needs one is warned of, as an offload is."""
    if device.type != "cuda" and name != "native":
        log.warning("attention: %s is for GPUs; the processor's own is used", name)
        return
    denoiser = getattr(pipeline, "transformer", None)
    choosing = any(
        hasattr(getattr(module, "processor", None), "_attention_backend")
        for module in (() if denoiser is None else denoiser.modules())
    )
    if denoiser is None or not choosing:
        # diffusers would set nothing, and say nothing.
        kind = type(pipeline).__name__
        raise ModelUnavailable(
            f"The config says `attention: {name}`, and a {kind} has no attention that can be chosen."
        )
    try:
        denoiser.set_attention_backend(name)
    except (RuntimeError, ValueError, ImportError) as error:
        log.error("the attention back end %s can't be used: %s", name, error)
        message = f"The config says `attention: {name}`, which this installation can't do; the log has the reason."
        raise ModelUnavailable(message) from error


def _compile(pipeline: Any) -> None:
    """Compile the denoiser in place, by the blocks that it repeats where its class names them: the first picture then
    waits a fraction of the time, and the others are as fast."""
    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    if denoiser is None:
        raise ModelUnavailable(f"The config says `compile: true`, and a {type(pipeline).__name__} has no denoiser.")
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks()
    else:
        denoiser.compile()
