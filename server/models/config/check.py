"""What `sagehold config check` finds beyond the files' own form, without loading a model.

Names are held against vLLM's own lists, fields against what this machine and installation can honour, and the files
that a config names are looked into. Examples are for other machines, and without their files: only names are checked.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from server.core import Task
from server.engines import cl100k, shards
from server.errors import ModelUnavailable
from server.models.config import weights
from server.models.config.catalog import not_installed
from server.models.config.files import EXAMPLES, Configs, Configured
from server.models.config.spec import DiffusersModel, EmbedModel, VllmModel
from server.yaml_files import Document, Problem

ATTENTION_PACKAGES = {
    "flash": "flash_attn",
    "_flash_3": "flash_attn_3",
    "sage": "sageattention",
    "xformers": "xformers",
}
"""What back ends of attention need, as diffusers looks for it (diffusers/utils/import_utils.py)."""


@dataclass(frozen=True, slots=True)
class Findings:
    """problems: what is wrong. warnings: what may be meant so."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def look_closer(configs: Configs, models_dir: Path) -> Findings:
    """Configs as `check_configs` gives them. Takes seconds where there is a chat model: it imports vLLM."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    known = find_spec("vllm") is not None
    unchecked: list[Document] = []
    for one in configs.models:
        if not _example(one.source) and (gone := weights.missing(one.spec, models_dir)):
            warnings.append(one.source.problem(f"{one.spec.name} {not_installed(one.spec, gone)}", "path"))
        match one.spec:
            case VllmModel() if known:
                chat = Configured(one.spec, one.source)
                problems += _chat(chat, models_dir)
                warnings += _template(chat, models_dir)
            case VllmModel():
                unchecked.append(one.source)
            case DiffusersModel() if not _example(one.source):
                problems += _pipeline(Configured(one.spec, one.source), models_dir)
            case EmbedModel() if not _example(one.source) and not weights.missing(one.spec, models_dir):
                encoder = Configured(one.spec, one.source)
                problems += _encoder(encoder, models_dir)
                warnings += _without_ids(encoder, models_dir)
    if unchecked:
        message = "vLLM is not installed, so chat models were not held against what it knows"
        warnings.append(unchecked[0].problem(message))
    return Findings(tuple(sorted(problems)), tuple(sorted(warnings)))


def _chat(one: Configured[VllmModel], models_dir: Path) -> Iterator[Problem]:
    from server.engines.vllm import check

    spec, source = one.spec, one.source
    said = {name: getattr(spec, name) for name in check.FIELDS}
    complaints = list(check.of_words(said))
    if not _example(source):
        # A model whose files are not here at all is not served; `sagehold models list` tells of it.
        adapters = () if weights.missing(spec, models_dir) else spec.adapters
        folders = {adapter.name: (models_dir / adapter.path).resolve() for adapter in adapters}
        template = Path(spec.chat_template) if spec.chat_template else None
        complaints += [
            *check.of_files(weights.location(spec, models_dir), template, folders),
            *check.of_machine(said, weights.location(spec, models_dir)),
        ]
    for complaint in complaints:
        yield source.problem(complaint.message, *complaint.field)


def _template(one: Configured[VllmModel], models_dir: Path) -> Iterator[Problem]:
    from server.engines.vllm import template

    spec = one.spec
    if spec.chat_template or spec.tokenizer_mode not in (None, "auto", "hf") or weights.missing(spec, models_dir):
        return
    if not template.shipped(weights.location(spec, models_dir)):
        yield one.source.problem(f"{spec.name}: {template.MISSING}", "name")


def _pipeline(one: Configured[DiffusersModel], models_dir: Path) -> Iterator[Problem]:
    """What is wrong with the installed files of an image model: each part that its index names has a folder."""
    spec, source = one.spec, one.source
    package = ATTENTION_PACKAGES.get(spec.attention or "")
    if package is not None and find_spec(package) is None:
        yield source.problem(f"{spec.attention} needs the package {package}, which is not installed here", "attention")
    if spec.scorer is not None and not (models_dir / spec.scorer / "config.json").is_file():
        yield source.problem(f"there is no CLIP model {spec.scorer}", "scorer")
    if weights.missing(spec, models_dir):
        return
    folder = weights.location(spec, models_dir)
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        parts = [name for name, kind in index.items() if isinstance(kind, list) and kind[0] is not None]
    except (OSError, ValueError, AttributeError, IndexError):
        yield source.problem("model_index.json can't be read as JSON", "path")
        return
    for name in parts:
        if not (folder / name).is_dir():
            yield source.problem(f"model_index.json names the part {name}, which has no folder", "path")
        elif reason := shards.problem(folder / name):
            yield source.problem(f"{name}/{reason}", "path")


def _encoder(one: Configured[EmbedModel], models_dir: Path) -> Iterator[Problem]:
    """What of an installed encoder's files the engine can't do."""
    from server.engines.embed.labels import read_labels
    from server.engines.embed.moderation import Moderator
    from server.engines.embed.recipe import read_recipe

    folder = weights.location(one.spec, models_dir)
    try:
        read_recipe(folder)
    except ModelUnavailable as error:
        yield one.source.problem(error.message, "path")
    if one.spec.moderation is not None:
        try:
            Moderator(read_labels(folder), one.spec.moderation.model_dump(mode="json"))
        except ModelUnavailable as error:
            yield one.source.problem(error.message, "moderation")


def _without_ids(one: Configured[EmbedModel], models_dir: Path) -> Iterator[Problem]:
    if Task.EMBEDDING in one.spec.tasks and not (models_dir / cl100k.TABLE).is_file():
        message = f"there is no {cl100k.TABLE}, so clients that send token ids are refused; bring it by: scripts/models"
        yield one.source.problem(message, "name")


def _example(source: Document) -> bool:
    return source.file.parent.name == EXAMPLES
