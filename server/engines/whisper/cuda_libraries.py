"""CUDA 12's cuBLAS for CTranslate2, which opens it by its bare name.

The wheels of CTranslate2 open libcublas.so.12 when a model goes to the GPU, and end the job where the loader does not
know it; cuBLAS in turn opens libnvrtc.so.12. torch brings CUDA 13's. A library that is loaded already is found by its
name wherever it lies, so they are loaded first, by their paths.

They lie in a folder of their own in the environment (requirements/cuda12.txt). In site-packages torch would take them
for its own (torch/__init__.py: _preload_cuda_deps) and load them into every process that imports it, for 97 MB of
private memory each.
"""

import ctypes
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

FOLDER = "cuda12"
"""Beside bin and lib in the environment."""

LIBRARIES = (
    ("nvidia/cuda_nvrtc/lib", "libnvrtc.so.12"),
    ("nvidia/cublas/lib", "libcublasLt.so.12"),
    ("nvidia/cublas/lib", "libcublas.so.12"),
)
"""Folder in a package folder (nvidia-cuda-nvrtc-cu12, nvidia-cublas-cu12) and name; each after what it needs."""


def load_cublas(places: Iterable[str] | None = None, load: Callable[[str], Any] = ctypes.CDLL) -> str | None:
    """Load them into this process; returns why that failed, None: they are loaded.

    A library that is in none of the places is taken from where the loader finds it: CUDA 12 of the system.
    """
    folders = [Path(place) for place in ([f"{sys.prefix}/{FOLDER}", *sys.path] if places is None else places)]
    for folder, name in LIBRARIES:
        path = next((str(place / folder / name) for place in folders if (place / folder / name).is_file()), name)
        try:
            load(path)
        except OSError as error:
            return str(error)
    return None
