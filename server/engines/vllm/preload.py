"""Imported by the fork server only: what every engine process needs, loaded once.

Nothing here may use CUDA, which can't be used in a forked process once its parent has. vLLM's modules don't when they
are imported (docs/decisions/001-fork-server.md); `forkserver.use` makes sure.
"""

import logging
import os
import signal
from importlib import import_module

from server.engines import heap
from server.engines.parent import die_with_parent
from server.engines.vllm import processes
from server.observability import logs, raw_output
from server.offline import go_offline

# A front end that is killed leaves nothing behind, not even in the seconds of the imports.
die_with_parent(int(os.environ.pop(processes.FRONT_END)))
# Ctrl-C in a terminal is for the front end, which lets answers end and then ends its engines in order.
os.setsid()
# One that came before is dropped (see forkserver.start): it was meant for the front end, which has had it too.
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
signal.signal(signal.SIGINT, signal.default_int_handler)
processes.ForkServer.pid = os.getpid()
raw_output.take()
logs.configure_child(None)
if os.environ.get("VLLM_LOGGING_LEVEL") == "ERROR":  # vLLM heeds it later than its first warnings come
    logging.getLogger("vllm").setLevel(logging.ERROR)
go_offline()

with heap.permanent():
    import vllm.model_executor.models.llama
    import vllm.v1.engine.core
    import vllm.v1.executor.multiproc_executor  # noqa: F401

    worker = os.environ.pop(processes.WORKER)
    import_module(worker)

if "cpu" in worker:
    from server.engines.vllm import seeds

    seeds.rewindable()
