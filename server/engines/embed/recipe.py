"""What a model's folder says of how its texts become vectors: Hugging Face's files, and sentence-transformers'."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from server.errors import ModelUnavailable

Pooling = Literal["mean", "cls", "max", "lasttoken"]

_POOLINGS: Mapping[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}

_PLACES_TAKEN = {"roberta": 2, "xlm-roberta": 2, "camembert": 2, "mpnet": 2, "longformer": 2}
"""Positions that a family numbers from its padding's on, so that its texts are so much shorter."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """pooling: which of the last layer's vectors make a text's. normalize: to length 1.

    max_tokens: read at once, those that a tokenizer adds included. query_prompt, document_prompt, prompt: said before a
    query, a document, and a text of which neither is known. dimensions: lengths to which vectors may be cut.
    lower: texts are lower-cased before the tokenizer. pad: the id of padding.
    """

    pooling: Pooling = "mean"
    normalize: bool = True
    max_tokens: int = 512
    query_prompt: str = ""
    document_prompt: str = ""
    prompt: str = ""
    dimensions: tuple[int, ...] = ()
    lower: bool = False
    pad: int = 0


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a model folder. Raises ModelUnavailable for what this engine can't do."""
    config = _read(folder / "config.json")
    modules = _read_list(folder / "modules.json")
    prompts = _read(folder / "config_sentence_transformers.json")
    own = _read(folder / "sentence_bert_config.json")
    named: Mapping[str, str] = prompts.get("prompts") or {}
    return Recipe(
        pooling=_pooling(folder, modules),
        normalize=not modules or any(kind == "Normalize" for kind, _ in modules),
        max_tokens=_max_tokens(config, own, _read(folder / "tokenizer_config.json")),
        query_prompt=named.get("query", ""),
        document_prompt=named.get("document", named.get("passage", "")),
        prompt=named.get(prompts.get("default_prompt_name") or "", ""),
        dimensions=_dimensions(config),
        lower=bool(own.get("do_lower_case")),
        pad=int(config.get("pad_token_id") or 0),
    )


def _pooling(folder: Path, modules: list[tuple[str, str]]) -> Pooling:
    for kind, path in modules:
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise ModelUnavailable(f"The model has a module {kind}, which this engine does not know.")
        if kind == "Pooling":
            config = _read(folder / path / "config.json")
            if isinstance(mode := config.get("pooling_mode"), str):
                chosen = [mode]
            else:
                chosen = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
            found = [_POOLINGS.get(name, name) for name in chosen]
            if len(found) != 1 or found[0] not in _POOLINGS.values():
                raise ModelUnavailable(f"This engine does not pool by {' and '.join(found) or 'nothing'}.")
            return cast(Pooling, found[0])
    return "mean"


def _max_tokens(*configs: Mapping[str, Any]) -> int:
    config, own, tokenizer = configs
    taken = _PLACES_TAKEN.get(config.get("model_type", ""), 0)
    positions = config.get("max_position_embeddings")
    bounds = [
        own.get("max_seq_length"),
        positions - taken if isinstance(positions, int) else None,
        tokenizer.get("model_max_length"),
    ]
    # A tokenizer without a limit of its own says 10**30.
    return min((int(bound) for bound in bounds if isinstance(bound, int | float) and 0 < bound < 10**9), default=512)


def _dimensions(config: Mapping[str, Any]) -> tuple[int, ...]:
    """As vLLM reads it (vllm/config/model.py, `is_matryoshka`)."""
    named = config.get("matryoshka_dimensions")
    if isinstance(named, list) and named:
        return tuple(sorted(int(one) for one in named))
    if config.get("is_matryoshka") and isinstance(size := config.get("hidden_size"), int):
        return tuple(range(1, size + 1))
    return ()


def _read(file: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise ModelUnavailable(f"{file.name} of the model can't be read as JSON.") from None
    return data if isinstance(data, dict) else {}


def _read_list(file: Path) -> list[tuple[str, str]]:
    """The last name of each module's class, and its folder."""
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
        return [(module["type"].rpartition(".")[2], module["path"]) for module in modules]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelUnavailable("modules.json of the model can't be read.") from None
