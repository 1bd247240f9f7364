"""From configs to public names: what each stands for, task by task, and what it costs by that name."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from server.core import Task
from server.models.config.files import CatalogError, Configs
from server.models.config.spec import (
    Adapter,
    Bundle,
    BundleName,
    ChatDefaults,
    FakeModel,
    ModelSpec,
    Price,
    VllmModel,
)
from server.yaml_files import Problem

PRICED_BY: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        Task.CHAT: ("prompt_token", "completion_token"),
        Task.COMPLETION: ("prompt_token", "completion_token"),
        Task.TOKENIZE: (),
        Task.TRANSCRIPTION: ("audio_second",),
        Task.SPEECH: ("character",),
        Task.IMAGE: ("image", "image_step"),
        Task.EMBEDDING: ("prompt_token",),
        Task.SCORE: ("prompt_token",),
        Task.MODERATION: ("prompt_token",),
    }
)
"""The units in which a task is paid: what a bundle's price takes from each of its models."""


@dataclass(frozen=True, slots=True)
class PublicModel:
    """What clients call a model: one public name. created: Unix seconds.

    tasks: the model behind each task, and prices: what each then costs by this name; price: all of it in one.
    parent: the model that a LoRA adapter's own name belongs to. image_response_format: the form that pictures by this
    name always have; None where clients choose it.
    """

    id: str
    tasks: Mapping[Task, ModelSpec]
    price: Price
    owned_by: str
    description: str
    created: int
    prices: Mapping[Task, Price]
    parent: str | None = None
    image_response_format: str | None = None


def adapters_of(spec: ModelSpec) -> tuple[Adapter, ...]:
    return spec.adapters if isinstance(spec, VllmModel) else ()


def names_of(spec: ModelSpec) -> tuple[str, ...]:
    """The public names that a model's own config gives it."""
    return (spec.name, *(adapter.name for adapter in adapters_of(spec)))


def models_behind(configs: Configs) -> dict[str, ModelSpec]:
    """What each name that a bundle may use stands for: the models, and each as its adapters make it."""
    behind: dict[str, ModelSpec] = {}
    for one in configs.models:
        behind[one.spec.name] = one.spec
        if isinstance(one.spec, VllmModel):
            behind |= {adapter.name: one.spec.adapted(adapter) for adapter in one.spec.adapters}
    return behind


@dataclass(frozen=True, slots=True)
class Draft:
    """A public name before it is known what is installed: the name of the model behind each task."""

    id: str
    tasks: Mapping[Task, str]
    owned_by: str
    description: str
    override: Price | None = None
    parent: str | None = None
    defaults: ChatDefaults | None = None
    image_response_format: str | None = None

    def narrowed(self, gone: Mapping[str, object]) -> "Draft":
        """Without the tasks whose model is not installed."""
        left = {task: name for task, name in self.tasks.items() if name not in gone}
        return replace(self, tasks=left)

    def public_model(self, specs: Mapping[str, ModelSpec], created: int) -> PublicModel:
        tasks = {task: self._as_said(specs[name]) for task, name in self.tasks.items()}
        prices = {task: self._price(spec.price) for task, spec in tasks.items()}
        # Chat and embeddings both cost by the prompt token: of the tasks that have a unit, the first says what it is.
        merged = {unit: getattr(prices[task], unit) for task in reversed(tasks) for unit in PRICED_BY[task]}
        return PublicModel(
            id=self.id,
            tasks=MappingProxyType(tasks),
            price=Price(**merged),
            owned_by=self.owned_by,
            description=self.description,
            created=created,
            prices=MappingProxyType(prices),
            parent=self.parent,
            image_response_format=self.image_response_format,
        )

    def _as_said(self, spec: ModelSpec) -> ModelSpec:
        """The model with the defaults that the bundle gives it by this name, where it gives any."""
        if self.defaults is None or not isinstance(spec, VllmModel | FakeModel):
            return spec
        said = {field: getattr(self.defaults, field) for field in self.defaults.model_fields_set}
        return spec.model_copy(update={"defaults": spec.defaults.model_copy(update=said)})

    def _price(self, own: Price) -> Price:
        """The model's own price, with what the bundle's name says instead where it says something."""
        if self.override is None:
            return own
        return own.model_copy(update={unit: getattr(self.override, unit) for unit in self.override.model_fields_set})


def drafts_of(configs: Configs) -> list[Draft]:
    models: list[Draft] = []
    for one in configs.models:
        spec = one.spec
        models.append(Draft(spec.name, dict.fromkeys(spec.tasks, spec.name), spec.owned_by, spec.description))
        models += [
            Draft(
                adapter.name,
                dict.fromkeys(spec.tasks, adapter.name),
                spec.owned_by,
                adapter.description,
                parent=spec.name,
            )
            for adapter in adapters_of(spec)
        ]
    behind = models_behind(configs)
    return models + [_of_bundle(one.spec, name, behind) for one in configs.bundles for name in one.spec.names]


def unserved(names: Iterable[str], served: Collection[str]) -> list[str]:
    """What to warn of where names are kept for later, in a key's list say: a line for each that is not served now."""
    lines = []
    for name in sorted(set(names) - set(served)):
        close = difflib.get_close_matches(name, served, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        lines.append(f"no model is served by the name {name} now{hint}")
    return lines


WITH_CHAT = (Task.COMPLETION, Task.TOKENIZE)
"""What a bundle's chat model does by the bundle's names without being named for it."""


def _of_bundle(bundle: Bundle, name: BundleName, behind: Mapping[str, ModelSpec]) -> Draft:
    tasks: dict[Task, str] = {}
    for task, model in bundle.tasks.items():
        tasks[task] = model
        if task is Task.CHAT:
            tasks |= {other: bundle.tasks.get(other, model) for other in WITH_CHAT if other in behind[model].tasks}
    return Draft(
        name.id,
        tasks,
        bundle.owned_by,
        name.description,
        name.price,
        defaults=bundle.defaults,
        image_response_format=bundle.image_response_format,
    )


def wanted(drafts: list[Draft], only: Sequence[str], folder: Path) -> list[Draft]:
    """The drafts that the setting `models` lets through, in the configs' order.

    A model's own name lets the model through, and the bundles' names for what it does: the client that asks for
    `tts-1` must not care how the model behind it was chosen. A bundle's name lets that name through.
    """
    if not only:
        return drafts
    configured = [draft.id for draft in drafts]
    problems = []
    for name in only:
        if name not in configured:
            close = difflib.get_close_matches(name, configured, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            message = f"there is no model {name!r}; {hint}configured in {folder.absolute()}: {', '.join(configured)}"
            problems.append(Problem(folder, 0, "SAGEHOLD_MODELS", message))
    if problems:
        raise CatalogError(problems)
    others = {name for draft in drafts for name in draft.tasks.values() if name not in only}
    return [draft if draft.id in only else draft.narrowed(dict.fromkeys(others)) for draft in drafts]
