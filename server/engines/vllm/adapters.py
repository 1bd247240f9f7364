"""LoRA adapters: what their folders say, and vLLM's arguments for them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's max_lora_rank may be (vllm/config/lora.py, MaxLoRARanks)."""
MOST_AT_ONCE = 8
"""Adapters in one batch: each takes room beside the weights. The others are kept in host memory, and swapped in."""
PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
"""init_lora_weights that leave the model's own weights alone (vllm/lora/peft_helper.py, _init_is_supported)."""
UNSUPPORTED = ("use_dora", "lora_bias", "alora_invocation_tokens", "layer_replication", "use_bdlora", "use_qalora")
"""Kinds of adapters that vLLM refuses (vllm/lora/peft_helper.py, _validate_features)."""


def problem(folder: Path) -> str | None:
    """Why `folder` holds no adapter that vLLM can serve, in a line that names its files without their place."""
    if not folder.is_dir():
        return f"there is no folder {folder.name}"
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{folder.name} holds no {CONFIG}"
    except (OSError, ValueError):
        return f"{folder.name}/{CONFIG} can't be read as JSON"
    if not isinstance(config, dict) or not isinstance(config.get("r"), int) or config["r"] < 1:
        return f"{folder.name}/{CONFIG} has no rank: `r` must be a positive number"
    if config.get("peft_type", "LORA") != "LORA":
        return f"{folder.name} is a {config['peft_type']} adapter; vLLM serves LORA"
    if found := next((key for key in UNSUPPORTED if config.get(key)), None):
        return f"{folder.name}/{CONFIG}: vLLM does not support {found}"
    start = config.get("init_lora_weights", True)
    if isinstance(start, str) and start.lower() not in PLAIN_STARTS:
        return f"{folder.name}/{CONFIG}: vLLM does not support init_lora_weights {start!r}"
    if (rank := _rank(config)) > RANKS[-1]:
        return f"{folder.name} has the rank {rank}; vLLM serves {RANKS[-1]} at most"
    if not any((folder / name).is_file() for name in WEIGHTS):
        return f"{folder.name} holds no {WEIGHTS[0]}"
    return None


def base(folder: Path) -> str | None:
    """The model that the adapter was made for, as it names it itself."""
    named = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    return named if isinstance(named, str) and named else None


def arguments(adapters: Mapping[str, Path]) -> dict[str, Any]:
    """vLLM's arguments for these folders, each without a `problem`; nothing where there are none."""
    if not adapters:
        return {}
    configs = [json.loads((folder / CONFIG).read_text(encoding="utf-8")) for folder in adapters.values()]
    highest = max(map(_rank, configs))
    return {
        "enable_lora": True,
        "max_loras": min(len(adapters), MOST_AT_ONCE),
        "max_cpu_loras": len(adapters),
        "max_lora_rank": next(rank for rank in RANKS if rank >= highest),
    }


def requests(adapters: Mapping[str, Path]) -> dict[str, Any]:
    """vLLM's LoRARequest for each public name."""
    from vllm.lora.request import LoRARequest

    return {
        name: LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(folder))
        for number, (name, folder) in enumerate(adapters.items(), start=1)
    }


def _rank(config: Mapping[str, Any]) -> int:
    """The highest rank of any of its layers."""
    others = (config.get("rank_pattern") or {}).values()
    return max([int(config["r"]), *(rank for rank in others if isinstance(rank, int))])
