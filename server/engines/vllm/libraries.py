"""What vLLM's processes and the front end need of vLLM, imported at once."""

from importlib import import_module

from server.engines import heap

ENGINE = (
    "vllm.model_executor.models.llama",
    "vllm.v1.engine.core",
    "vllm.v1.executor.multiproc_executor",
)
"""For cores and workers, beside the module of the workers' class."""
FRONT_END = (
    "vllm.engine.arg_utils",
    "vllm.renderers.online_renderer",
    "vllm.usage.usage_lib",
    "vllm.v1.engine.async_llm",
    # Requests need them.
    "server.engines.vllm.plain_text",
    "server.engines.vllm.releases",
    "server.engines.vllm.stats",
)


def load(*modules: str) -> None:
    """Import them, for good."""
    with heap.permanent():
        for module in modules:
            import_module(module)
