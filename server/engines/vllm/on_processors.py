"""What is changed of vLLM in the processes that compute on a processor, before any of them is forked."""

from typing import Any

from server.engines import openmp
from server.engines.vllm import seeds, waiting


def prepare() -> None:
    """In the fork server, however it came to be: cores and workers inherit it."""
    seeds.rewindable()
    waiting.without_spinning()
    giving_way()


def giving_way() -> None:
    """Let workers that are forked from here watch for others who want their cores."""
    from vllm.v1.worker.cpu_worker import CPUWorker

    init_device = CPUWorker.init_device

    def watched(worker: Any) -> None:
        openmp.give_way()
        init_device(worker)

    CPUWorker.init_device = watched
