"""CUDA 12's cuBLAS for CTranslate2, which opens it by its bare name.

The wheels of CTranslate2 open libcublas.so.12 when a model goes to the GPU, and end the job where the loader does not
know it; cuBLAS in turn opens libnvrtc.so.12. torch brings CUDA 13's. A library that is loaded already is found by its
name wherever it lies, so those from the environment's own packages are loaded first, by their paths.
"""

import ctypes
import site
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

LIBRARIES = (
    ("nvidia/cuda_nvrtc/lib", "libnvrtc.so.12"),
    ("nvidia/cublas/lib", "libcublasLt.so.12"),
    ("nvidia/cublas/lib", "libcublas.so.12"),
)
"""Folder in site-packages (nvidia-cuda-nvrtc-cu12, nvidia-cublas-cu12) and name; each after what it needs."""


def load_cublas(
    places: Iterable[str] | None = None,
    load: Callable[..., Any] = ctypes.CDLL,
) -> str | None:
    """Load them into this process; returns why that failed, None: they are loaded.

    A library that the packages do not have is taken from where the loader finds it: CUDA 12 of the system.
    """
    folders = [Path(place) for place in (_site_packages() if places is None else places)]
    for folder, name in LIBRARIES:
        path = next((str(place / folder / name) for place in folders if (place / folder / name).is_file()), name)
        try:
            load(path)
        except OSError as error:
            return str(error)
    return None


def _site_packages() -> list[str]:
    return [place for place in (*site.getsitepackages(), *sys.path) if place]
