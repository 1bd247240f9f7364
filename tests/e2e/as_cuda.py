"""`sagehold` as on CUDA, on a processor: how engine processes are started, stopped and lost is chosen for CUDA.

What vLLM is made to compute stays the processor's.
"""

import sys
from typing import Any
from unittest import mock

from server.__main__ import main
from server.engines.vllm import hardware
from server.engines.vllm.engine import VllmEngine

_arguments = VllmEngine.arguments


def _of_a_processor(engine: VllmEngine) -> dict[str, Any]:
    with mock.patch.object(hardware, "cuda", return_value=False):
        return _arguments(engine)


if __name__ == "__main__":
    with mock.patch.multiple(hardware, cuda=lambda: True), mock.patch.object(VllmEngine, "arguments", _of_a_processor):
        del sys.argv[0]
        main()
