"""What this server has to offer: the configured models and bundles, and what each public name means for a task."""

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from server.core import Task
from server.errors import ModelNotFound
from server.models.config import weights
from server.models.config.files import EXAMPLES, CatalogError, Configs, Configured, Problem, read_configs
from server.models.config.first_seen import first_seen
from server.models.config.spec import (
    Adapter,
    Bundle,
    BundleName,
    ChatDefaults,
    FakeModel,
    ModelSpec,
    Price,
    VllmModel,
    WhisperModel,
)

__all__ = ["Catalog", "CatalogError", "Missing", "PublicModel", "check_configs"]

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
    }
)
"""The units in which a task is paid: what a bundle's price takes from each of its models."""

SENSES: Mapping[str, Task] = MappingProxyType({"transcriber": Task.TRANSCRIPTION, "voice": Task.SPEECH})
"""The fields of a chat model's config that name another model, and what that one must do."""


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


@dataclass(frozen=True, slots=True)
class Missing:
    """A configured model that is not served, since its weights are not installed. `files`: the ones looked for."""

    spec: ModelSpec
    files: tuple[Path, ...]


class Catalog:
    """Immutable. Build it by `load`."""

    def __init__(self, public: Sequence[PublicModel], models: Sequence[ModelSpec], missing: Sequence[Missing]) -> None:
        self._public = {one.id: one for one in public}
        self.models = tuple(models)
        """The models that are served, by their own name or by a bundle's; the registry loads these."""
        self.missing = tuple(missing)
        """The models whose weights are not installed."""

    @classmethod
    def load(
        cls,
        configs_dir: Path,
        models_dir: Path,
        data_dir: Path | None,
        *,
        only: Sequence[str] = (),
        now: Callable[[], float] = time.time,
    ) -> "Catalog":
        """Read the configs and see what is installed.

        data_dir: where the names' first appearance is remembered; None only looks, and creates nothing.
        only: models and public names to serve, all when empty. Raises CatalogError with all that is wrong.
        """
        configs = checked_configs([configs_dir])
        specs = {one.spec.name: one.spec for one in configs.models}
        behind = _behind(configs)
        gone = {name: files for name, spec in behind.items() if (files := weights.missing(spec, models_dir))}
        drafts = [draft.narrowed(gone) for draft in _wanted(_drafts(configs), only, configs_dir)]
        drafts = [draft for draft in drafts if draft.tasks]
        names = [draft.id for draft in drafts]
        created = dict.fromkeys(names, int(now())) if data_dir is None else first_seen(names, data_dir, now)
        public = [draft.public_model(behind, created[draft.id]) for draft in drafts]
        used = {spec.name for one in public for spec in one.tasks.values()}
        return cls(
            public,
            [spec for name, spec in specs.items() if name in used],
            [Missing(specs[name], files) for name, files in gone.items() if name in specs],
        )

    def public_models(self) -> tuple[PublicModel, ...]:
        """Every public name that is served: models first, then bundles, each in the order of the configs."""
        return tuple(self._public.values())

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        """The model that `name` means for `task`, and what it costs by that name. Raises ModelNotFound."""
        public = self._public.get(name)
        if public is None:
            if any(name in _names(one.spec) for one in self.missing):
                raise ModelNotFound(f"The model `{name}` is configured, but its files are not installed.")
            raise ModelNotFound.named(name)
        if task not in public.tasks:
            having = tuple(other.id for other in self.public_models() if task in other.tasks)
            raise ModelNotFound.named(name, task, having)
        return public.tasks[task], public.prices[task]


def check_configs(configs_dir: Path) -> Configs:
    """Check every config, the examples included, without asking for weights. Raises CatalogError."""
    examples = configs_dir / EXAMPLES
    return checked_configs([configs_dir, examples] if examples.is_dir() else [configs_dir])


def checked_configs(folders: Sequence[Path]) -> Configs:
    """Read the configs and hold them against each other: names, bundles' models, templates. Raises CatalogError."""
    configs = read_configs(folders)
    problems = [*_duplicates(configs), *_lost_models(configs), *_lost_senses(configs)]
    models = [Configured(_beside(one, problems), one.source) for one in configs.models]
    if problems:
        raise CatalogError(problems)
    return Configs(tuple(models), configs.bundles)


def _beside(one: Configured[ModelSpec], problems: list[Problem]) -> ModelSpec:
    """The spec with the files that lie beside its config named in full: chat templates, and probes' audio."""
    spec, folder = one.spec, one.source.file.resolve().parent
    if isinstance(spec, VllmModel) and spec.chat_template is not None:
        template = folder / spec.chat_template
        if not template.is_file():
            problems.append(one.source.problem(f"there is no file {template}", "chat_template"))
        return spec.model_copy(update={"chat_template": str(template)})
    if isinstance(spec, WhisperModel) and spec.probe is not None and (audio := folder / spec.probe.prompt).is_file():
        return spec.model_copy(update={"probe": spec.probe.model_copy(update={"prompt": str(audio)})})
    return spec


def _duplicates(configs: Configs) -> list[Problem]:
    """No two public names may be the same, and no two ids of bundles."""
    problems: list[Problem] = []
    public: dict[str, str] = {}
    bundles: dict[str, str] = {}
    for one in configs.models:
        _claim(public, one.spec.name, one, ("name",), problems)
        for number, adapter in enumerate(_adapters(one.spec)):
            _claim(public, adapter.name, one, ("adapters", number, "name"), problems)
    for bundle in configs.bundles:
        _claim(bundles, bundle.spec.bundle, bundle, ("bundle",), problems)
        for number, name in enumerate(bundle.spec.names):
            _claim(public, name.id, bundle, ("names", number, "id"), problems)
    return problems


def _claim(
    taken: dict[str, str],
    name: str,
    by: Configured[ModelSpec] | Configured[Bundle],
    loc: tuple[str | int, ...],
    problems: list[Problem],
) -> None:
    if name in taken:
        problems.append(by.source.problem(f"{name!r} is taken already, at {taken[name]}", *loc))
    else:
        taken[name] = f"{by.source.file}:{by.source.line(*loc)}"


def _lost_models(configs: Configs) -> list[Problem]:
    """A bundle's tasks must name models that are configured and do that task."""
    specs = _behind(configs)
    problems = []
    for bundle in configs.bundles:
        for task, name in bundle.spec.tasks.items():
            able = [other for other, spec in specs.items() if task in spec.tasks]
            if name not in specs:
                message = f"there is no model {name!r}; models for {task}: {', '.join(able) or 'none'}"
                problems.append(bundle.source.problem(message, "tasks", task.value))
            elif task not in specs[name].tasks:
                does = " and ".join(specs[name].tasks)
                message = f"{name!r} is a model for {does}; models for {task}: {', '.join(able) or 'none'}"
                problems.append(bundle.source.problem(message, "tasks", task.value))
    return problems


def _lost_senses(configs: Configs) -> list[Problem]:
    """What hears and speaks for a chat model must be configured, and do that."""
    specs = {one.spec.name: one.spec for one in configs.models}
    problems = []
    for one in configs.models:
        for field, task in SENSES.items():
            name = getattr(one.spec, field, None)
            if name is not None and (name not in specs or task not in specs[name].tasks):
                able = ", ".join(other for other, spec in specs.items() if task in spec.tasks)
                message = f"there is no {task} model {name!r}; models for {task}: {able or 'none'}"
                problems.append(one.source.problem(message, field))
    return problems


# ---------------------------------------------------------------- public names


def _adapters(spec: ModelSpec) -> tuple[Adapter, ...]:
    return spec.adapters if isinstance(spec, VllmModel) else ()


def _names(spec: ModelSpec) -> tuple[str, ...]:
    """The public names that a model's own config gives it."""
    return (spec.name, *(adapter.name for adapter in _adapters(spec)))


def _behind(configs: Configs) -> dict[str, ModelSpec]:
    """What each name that a bundle may use stands for: the models, and each as its adapters make it."""
    behind: dict[str, ModelSpec] = {}
    for one in configs.models:
        behind[one.spec.name] = one.spec
        if isinstance(one.spec, VllmModel):
            behind |= {adapter.name: one.spec.adapted(adapter) for adapter in one.spec.adapters}
    return behind


@dataclass(frozen=True, slots=True)
class _Draft:
    """A public name before it is known what is installed: the name of the model behind each task."""

    id: str
    tasks: Mapping[Task, str]
    owned_by: str
    description: str
    override: Price | None = None
    parent: str | None = None
    defaults: ChatDefaults | None = None
    image_response_format: str | None = None

    def narrowed(self, gone: Mapping[str, object]) -> "_Draft":
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


def _drafts(configs: Configs) -> list[_Draft]:
    models: list[_Draft] = []
    for one in configs.models:
        spec = one.spec
        models.append(_Draft(spec.name, dict.fromkeys(spec.tasks, spec.name), spec.owned_by, spec.description))
        models += [
            _Draft(
                adapter.name,
                dict.fromkeys(spec.tasks, adapter.name),
                spec.owned_by,
                adapter.description,
                parent=spec.name,
            )
            for adapter in _adapters(spec)
        ]
    behind = _behind(configs)
    return models + [_of_bundle(one.spec, name, behind) for one in configs.bundles for name in one.spec.names]


WITH_CHAT = (Task.COMPLETION, Task.TOKENIZE)
"""What a bundle's chat model does by the bundle's names without being named for it."""


def _of_bundle(bundle: Bundle, name: BundleName, behind: Mapping[str, ModelSpec]) -> _Draft:
    tasks: dict[Task, str] = {}
    for task, model in bundle.tasks.items():
        tasks[task] = model
        if task is Task.CHAT:
            tasks |= {other: bundle.tasks.get(other, model) for other in WITH_CHAT if other in behind[model].tasks}
    return _Draft(
        name.id,
        tasks,
        bundle.owned_by,
        name.description,
        name.price,
        defaults=bundle.defaults,
        image_response_format=bundle.image_response_format,
    )


def _wanted(drafts: list[_Draft], only: Sequence[str], folder: Path) -> list[_Draft]:
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
            message = f"there is no model {name!r}; {hint}configured: {', '.join(configured)}"
            problems.append(Problem(folder, 1, "SAGEHOLD_MODELS", message))
    if problems:
        raise CatalogError(problems)
    others = {name for draft in drafts for name in draft.tasks.values() if name not in only}
    return [draft if draft.id in only else draft.narrowed(dict.fromkeys(others)) for draft in drafts]
