"""What vLLM's caches keep of a model that has stopped."""

import sys

from server.engines import heap
from server.engines.free_memory import give_back

HOLDERS = (
    # Its key is a method of the tokenizer's own class, whose closure is the tokenizer and its copies.
    ("vllm.utils.func_utils", "_supports_kw"),
    ("vllm.tokenizers.registry", "cached_get_tokenizer"),
    ("vllm.transformers_utils.processor", "cached_get_processor"),
    ("vllm.transformers_utils.processor", "get_processor_kwargs_type"),
    ("vllm.transformers_utils.processor", "cached_get_feature_extractor"),
    ("vllm.transformers_utils.processor", "cached_get_image_processor"),
    ("vllm.transformers_utils.processor", "cached_get_video_processor"),
    ("vllm.multimodal.processing.processor", "cached_encode"),
)
"""Caches of vLLM's that hold a tokenizer or a processor: modules, and their `functools.lru_cache` functions.

They are meant for a process with one model, and know no end of it: 47 MiB stayed behind at each load of a model of
49,152 tokens, up to 128 entries a cache.
"""


def forget(*, models: bool = False) -> None:
    """Empty them, and collect what an engine leaves behind as a ring of references. models: whether others are loaded.

    Other models fill them anew. What imports made is frozen (see heap.py), so the collection takes milliseconds. Left
    to itself it would come late: a tokenizer is a handful of Python objects to the collector, whatever it holds.
    glibc then gives back what lies free between other things: 180 MiB after some loads.
    """
    for module, name in HOLDERS:
        if (loaded := sys.modules.get(module)) is not None:
            getattr(loaded, name).cache_clear()
    heap.thaw(models=models)
    give_back()
