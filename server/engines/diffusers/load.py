"""From a folder to a pipeline in its place: device, type of numbers, offload, tiling, compilation."""

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
    prepare(pipeline, device, offload=offload, tiling=options.tiling, compiled=options.compile)
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


def prepare(pipeline: Any, device: torch.device, *, offload: str, tiling: bool, compiled: bool) -> None:
    """Set up a pipeline that was read. offload: none, model or sequential. Raises ModelUnavailable."""
    kind = type(pipeline).__name__
    if tiling:
        _tile(pipeline)
    if compiled:
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


def _tile(pipeline: Any) -> None:
    autoencoder = getattr(pipeline, "vae", None)
    try:
        autoencoder.enable_tiling()  # type: ignore[union-attr]
    except (AttributeError, NotImplementedError) as error:
        message = f"The config says `tiling: true`, which the autoencoder of a {type(pipeline).__name__} can't do."
        raise ModelUnavailable(message) from error
    # One picture of a batch after the other: the same pictures from less memory.
    if hasattr(autoencoder, "use_slicing"):
        autoencoder.enable_slicing()  # type: ignore[union-attr]


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
