"""Imported by the fork server only: what every engine process needs, loaded once."""

from server.engines.vllm import heap
from server.offline import go_offline

go_offline()

with heap.permanent():
    import vllm.model_executor.models.llama
    import vllm.v1.engine.core
    import vllm.v1.executor.multiproc_executor
    import vllm.v1.worker.cpu_worker  # noqa: F401
