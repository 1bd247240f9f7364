"""What Triton and Inductor need on a GPU machine, since they compile kernels for its GPU: looked for before they fail.

Triton builds a launcher in C against Python's headers when its first kernel runs (triton/runtime/build.py); kernels
themselves are compiled by the LLVM and ptxas in its wheel. No nvcc is needed.
"""

import os
import shutil
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDERS = {
    # variable: where the library goes without it, and what it keeps there
    "VLLM_CACHE_ROOT": ("{cache}/vllm", "compiled graphs"),
    "TRITON_CACHE_DIR": ("{home}/.triton/cache", "compiled kernels"),
}
"""Caches that must be writable, and should outlive a restart: filling them takes minutes."""


def headers() -> Path:
    """The folder in which Triton looks for Python.h, of whichever Python this is: a distribution's, uv's, pyenv's."""
    scheme = sysconfig.get_default_scheme()
    return Path(sysconfig.get_paths(scheme="posix_prefix" if scheme == "posix_local" else scheme)["include"])


def missing(
    environment: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
    include: Path | None = None,
) -> list[str]:
    """What is not there, a line each, with what brings it."""
    lines = []
    compiler = environment.get("CC")
    if compiler is not None and which(compiler.split()[0] if compiler.split() else "") is None:
        lines.append(f"CC names a C compiler that is not there: {compiler!r}")
    elif compiler is None and which("gcc") is None and which("clang") is None:
        lines.append(
            "Triton needs a C compiler, and there is none: install gcc (Debian, Ubuntu: apt install gcc libc6-dev)"
        )
    folder = headers() if include is None else include
    if not (folder / "Python.h").is_file():
        version = sysconfig.get_python_version()
        lines.append(
            f"Triton needs Python's headers, and there is no {folder}/Python.h (Debian, Ubuntu: apt install "
            f"python{version}-dev; Pythons that uv installs have them)"
        )
    home = environment.get("HOME") or str(Path("~").expanduser())
    places = {"home": home, "cache": environment.get("XDG_CACHE_HOME") or f"{home}/.cache"}
    for variable, (default, content) in FOLDERS.items():
        place = Path(environment.get(variable) or default.format(**places))
        if (reason := _unwritable(place)) is not None:
            lines.append(f"The folder for {content} can't be written: {place} ({reason}); {variable} names another")
    return lines


def _unwritable(folder: Path) -> str | None:
    """Why no file can be made in a folder that may have yet to be made itself; None: one can be.

    Tried in earnest, in the nearest folder that exists: permission bits say nothing of read-only mounts or full disks.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__
