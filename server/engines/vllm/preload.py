"""Imported by the fork server only: what every engine process needs, loaded once."""

from server.offline import go_offline

go_offline()

import vllm.model_executor.models.llama  # noqa: E402
import vllm.v1.engine.core  # noqa: E402
import vllm.v1.executor.multiproc_executor  # noqa: E402
import vllm.v1.worker.cpu_worker  # noqa: E402, F401
