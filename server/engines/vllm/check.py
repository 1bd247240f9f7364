"""What can be found wrong with a chat model's config before anything is loaded, by `config check` and at each start."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from server.engines import shards
from server.engines.vllm import adapters, hardware, honoured, template, vocabulary
from server.engines.vllm.complaint import Complaint
from server.engines.vllm.options import VllmOptions
from server.errors import ModelUnavailable

FIELDS = (
    "extra", "tool_parser", "reasoning_parser", "quantization", "kv_cache_dtype", "load_format", "tokenizer_mode",
    "speculative_config", "images", "gpus", "gpu_memory_utilization", "cpu_offload",
)  # fmt: skip
"""The fields of `VllmOptions` that are looked at, besides the template and the adapters."""


def of_words(said: Mapping[str, Any]) -> Iterator[Complaint]:
    """What this vLLM does not know, whatever the machine. said: FIELDS by name."""
    return vocabulary.complaints(said)


def of_machine(said: Mapping[str, Any], path: Path) -> Iterator[Complaint]:
    """What this installation on this machine can't honour. said: FIELDS by name; path: the model's own."""
    return honoured.complaints(said, cuda=hardware.cuda(), architectures=_architectures(path))


def _architectures(path: Path) -> list[str]:
    """By the model's config.json; none where that can't be read, which vLLM tells of."""
    try:
        found = json.loads((path / "config.json").read_text(encoding="utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError):
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def of_files(path: Path, chat_template: Path | None, folders: Mapping[str, Path]) -> Iterator[Complaint]:
    """What is wrong with the files. path: the model's own; folders: of its adapters, by their names."""
    if reason := shards.problem(path):
        yield Complaint(("path",), reason)
    if chat_template is not None and (reason := template.problem(chat_template)):
        yield Complaint(("chat_template",), reason)
    for number, (name, folder) in enumerate(folders.items()):
        if reason := adapters.problem(folder):
            yield Complaint(("adapters", number, "path"), f"the adapter {name} can't be served: {reason}")


def before_loading(options: VllmOptions) -> None:
    """Raises ModelUnavailable with the lines of `config check`: in seconds, and with the fields' names."""
    said = {name: getattr(options, name) for name in FIELDS}
    found = [
        *of_files(options.path, options.chat_template, options.adapters),
        *of_machine(said, options.path),
        *of_words(said),
    ]
    if found:
        raise ModelUnavailable(f"The model could not be loaded: {'; '.join(map(str, found))}")
