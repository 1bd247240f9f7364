"""What is changed of vLLM in the processes that compute on a processor, before any of them is forked."""

from server.engines.vllm import seeds, waiting


def prepare() -> None:
    """In the fork server, however it came to be: cores and workers inherit it."""
    seeds.rewindable()
    waiting.without_spinning()
