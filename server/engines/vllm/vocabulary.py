"""What this vLLM knows by name, for configs to be held against before anything is loaded.

The lists are vLLM's own, plugins' additions included. Importing them takes seconds: `sagehold config check` and the
start of an engine do it, no other command.
"""

import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from server.engines.vllm.complaint import Complaint, unknown


def complaints(said: Mapping[str, Any]) -> Iterator[Complaint]:
    """What of a chat model's config this vLLM does not know. said: the fields of `VllmOptions`, by name."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # While it is imported, its log has no handler yet, and what it says (of Triton, say) would go to stderr as it is.
    logging.getLogger("vllm").addHandler(logging.NullHandler())
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    extra = said["extra"]
    arguments = engine_arguments()
    for name in extra:
        if name not in arguments:
            yield unknown(("extra", name), name, "engine argument", arguments, listed=False)
    for field, what, names in (
        ("tool_parser", "tool parser", tool_parsers),
        ("reasoning_parser", "reasoning parser", reasoning_parsers),
        ("quantization", "quantization", quantizations),
        ("kv_cache_dtype", "type of KV cache", kv_cache_types),
        ("load_format", "load format", load_formats),
        ("tokenizer_mode", "tokenizer mode", tokenizer_modes),
    ):
        value = said[field]
        if field == "reasoning_parser" and "reasoning_parser_plugin" in extra:
            continue  # the plugin's file brings a parser of its own
        if value is not None and value not in (allowed := names()):
            yield unknown((field,), value, what, allowed)
    yield from _speculation(said["speculative_config"])


def _speculation(config: Mapping[str, Any] | None) -> Iterator[Complaint]:
    if config is None:
        return
    from vllm.config.speculative import SpeculativeConfig, SpeculativeMethod

    fields = {field.name for field in dataclasses.fields(SpeculativeConfig)}
    for name in config:
        if name not in fields:
            yield unknown(("speculative_config", name), name, "speculative setting", fields, listed=False)
    method, methods = config.get("method"), _words(SpeculativeMethod)
    if method is not None and method not in methods:
        yield unknown(("speculative_config", "method"), str(method), "speculative method", methods)
    if method is None and config.get("model") is None:
        yield Complaint(("speculative_config",), "needs a `method`, such as ngram, or the `model` that drafts")
    if method == "ngram" and config.get("num_speculative_tokens") is None:
        yield Complaint(("speculative_config",), "needs `num_speculative_tokens`: how many tokens are guessed at once")


def engine_arguments() -> frozenset[str]:
    from vllm.engine.arg_utils import AsyncEngineArgs

    return frozenset(field.name for field in dataclasses.fields(AsyncEngineArgs))


def tool_parsers() -> list[str]:
    from vllm.tool_parsers import ToolParserManager

    return list(ToolParserManager.list_registered())


def reasoning_parsers() -> list[str]:
    from vllm.reasoning import ReasoningParserManager

    return list(ReasoningParserManager.list_registered())


def quantizations() -> list[str]:
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

    return list(QUANTIZATION_METHODS)


def kv_cache_types() -> list[str]:
    from vllm.config.cache import CacheDType

    return _words(CacheDType)


def load_formats() -> list[str]:
    from vllm.model_executor.model_loader import _LOAD_FORMAT_TO_MODEL_LOADER

    return list(_LOAD_FORMAT_TO_MODEL_LOADER)


def tokenizer_modes() -> list[str]:
    from vllm.config.model import TokenizerMode
    from vllm.tokenizers.registry import TokenizerRegistry

    return sorted({*_words(TokenizerMode), *TokenizerRegistry.tokenizers})


def _words(kind: Any) -> list[str]:
    """The words of a Literal, nested ones included."""
    return [word for part in get_args(kind) for word in ([part] if isinstance(part, str) else _words(part))]
