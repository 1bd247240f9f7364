"""Seeds of requests on a processor.

After each step that only reads a part of a prompt, vLLM takes back what the request's generator drew for nothing, by
the offset that CUDA's generators have (vllm/v1/worker/gpu_model_runner.py, _bookkeeping_sync). Those of a processor
have none: a seed beside a prompt longer than one step, 2,048 tokens by default, ended vLLM's core, and with it all
requests.
"""

import torch


class RewindableGenerator(torch.Generator):  # type: ignore[misc]
    """One that goes back to its beginning, where it stands anyway while its request is only read."""

    def get_offset(self) -> int:
        return 0

    def set_offset(self, offset: int) -> None:  # noqa: ARG002 - vLLM's is 4 less than what `get_offset` gave
        self.manual_seed(self.initial_seed())


def rewindable() -> None:
    """Let this process, one of vLLM's on a processor, make such generators."""
    torch.Generator = RewindableGenerator
