"""What is changed of vLLM in the processes that compute on a processor, before any of them is forked."""

from typing import Any

from server.engines import openmp
from server.engines.vllm import kernels, seeds, waiting


def prepare() -> None:
    """In the fork server, however it came to be: cores and workers inherit it."""
    seeds.rewindable()
    waiting.without_spinning()
    kernels.register()
    when_a_worker_begins()


def when_a_worker_begins() -> None:
    """Let workers that are forked from here watch for others who want their cores, and take the kernels of ours."""
    from vllm.v1.worker.cpu_worker import CPUWorker

    init_device = CPUWorker.init_device

    def watched(worker: Any) -> None:
        openmp.give_way()
        kernels.prefer()
        init_device(worker)

    CPUWorker.init_device = watched
