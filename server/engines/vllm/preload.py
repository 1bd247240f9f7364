"""Imported by a fork server that was started by itself: what every engine process needs, loaded once.

Nothing here may use CUDA, which can't be used in a forked process once its parent has. vLLM's modules don't when they
are imported (docs/decisions/001-fork-server.md); `forkserver.use` makes sure.
"""

import os

from server.engines.vllm import libraries, processes
from server.offline import go_offline

processes.become_server(int(os.environ.pop(processes.FRONT_END)))
go_offline()
libraries.load(*libraries.ENGINE, worker := os.environ.pop(processes.WORKER))

if "cpu" in worker:
    from server.engines.vllm import on_processors

    on_processors.prepare()
