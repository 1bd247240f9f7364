"""Engine processes that inherit vLLM's imports instead of repeating them.

vLLM starts its core, and the core its worker, as spawned interpreters; each spends most of its start importing
torch and vLLM again. Here a small server process imports once, while the front end does its own importing, and
core and worker are forked from it. The server process has no threads, holds none of the front end's sockets, and
carries the preloaded allocator and OpenMP libraries that vLLM asks for on processors. A core that died is
replaced without any import at all.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import context, forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from server.engines.malloc import keeping
from server.engines.openmp import patience
from server.engines.parent import die_with_parent

METHOD = "VLLM_WORKER_MULTIPROC_METHOD"
PRELOAD = "server.engines.vllm.preload"


class _Process(context.ForkServerProcess):
    """A forked process with the environment that the front end had when it made the process object."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._environment = dict(os.environ)

    def run(self) -> None:
        # The front end learns of this process's end from the server process, and takes the one's end for the other's.
        # Without this, a core whose server process was killed would be replaced, and live on with all its memory.
        die_with_parent()
        # vLLM tells its children things by environment variables, which a fork server was started without.
        os.environ.clear()
        os.environ.update(self._environment)
        # The core forks its worker straight from itself: the imports are there already.
        os.environ[METHOD] = "fork"
        super().run()


class _Context(context.ForkServerContext):
    Process = _Process


def start() -> None:
    """Begin the server process and its imports in the background; returns at once."""
    with _environment(patience() | keeping() | {"LD_PRELOAD": _preload(os.environ.get("LD_PRELOAD"))}):
        forkserver.set_forkserver_preload([PRELOAD])
        forkserver.ensure_running()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What only the server process is to be started with."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def use() -> None:
    """Make vLLM start its processes here. After its platform set-up, which insists on spawn, and before its core."""
    from vllm.utils import system_utils

    os.environ[METHOD] = "fork"
    system_utils.multiprocessing = SimpleNamespace(get_context=lambda _method: _Context())


def _preload(before: str | None) -> str:
    """LD_PRELOAD as vLLM's CPU platform sets it for the processes it spawns: tcmalloc and torch's own OpenMP."""
    found: list[str] = []
    for package, folder, pattern in (
        ("vllm", "libs", "libtcmalloc_minimal*.so*"),
        ("torch", "lib", "libgomp*.so*"),
        ("torch", "../torch.libs", "libgomp*.so*"),
    ):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        matches = sorted((Path(spec.origin).parent / folder).resolve().glob(pattern))
        if matches and not any(Path(name).name.startswith(pattern.split("*")[0]) for name in found):
            found.append(str(matches[0]))
    return ":".join([*found, *([before] if before else [])])
