"""What this server has to offer: the configured models and bundles, and what each public name means for a task."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from server.core import Task
from server.errors import ModelNotFound, ModelNotInstalled
from server.models.config import weights
from server.models.config.files import EXAMPLES, CatalogError, Configs, Configured, collect_configs
from server.models.config.first_seen import first_seen
from server.models.config.public_names import Draft, PublicModel, adapters_of, drafts_of, models_behind, wanted
from server.models.config.spec import (
    Bundle,
    ModelSpec,
    Price,
    VllmModel,
    WhisperModel,
)
from server.yaml_files import Problem

__all__ = ["Catalog", "CatalogError", "Missing", "PublicModel", "check_configs"]

SENSES: Mapping[str, Task] = MappingProxyType({"transcriber": Task.TRANSCRIPTION, "voice": Task.SPEECH})
"""The fields of a chat model's config that name another model, and what that one must do."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A configured model that is not served, since its weights are not installed. `files`: the ones looked for."""

    spec: ModelSpec
    files: tuple[Path, ...]


class Catalog:
    """Immutable. Build it by `load`."""

    def __init__(
        self,
        public: Sequence[PublicModel],
        models: Sequence[ModelSpec],
        missing: Sequence[Missing],
        lacking: Mapping[str, frozenset[Task]],
    ) -> None:
        """lacking: the public names that are configured, with the tasks whose models are not installed."""
        self._public = {one.id: one for one in public}
        self._lacking = lacking
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
        only: models and public names to serve, all when empty; none of them may be without its files. Raises
        CatalogError with all that is wrong.
        """
        configs = checked_configs([configs_dir])
        specs = {one.spec.name: one.spec for one in configs.models}
        behind = models_behind(configs)
        gone = {name: files for name, spec in behind.items() if (files := weights.missing(spec, models_dir))}
        asked = wanted(drafts_of(configs), only, configs_dir)
        drafts = [draft.narrowed(gone) for draft in asked]
        lacking = {
            draft.id: frozenset(draft.tasks.keys() - left.tasks.keys())
            for draft, left in zip(asked, drafts, strict=True)
            if len(left.tasks) < len(draft.tasks)
        }
        if lost := _without_files(only, [draft for draft in asked if not draft.narrowed(gone).tasks], behind, gone):
            raise CatalogError(lost)
        drafts = [draft for draft in drafts if draft.tasks]
        names = [draft.id for draft in drafts]
        created = dict.fromkeys(names, int(now())) if data_dir is None else first_seen(names, data_dir, now)
        public = [draft.public_model(behind, created[draft.id]) for draft in drafts]
        used = {spec.name for one in public for spec in one.tasks.values()}
        return cls(
            public,
            [spec for name, spec in specs.items() if name in used],
            [Missing(specs[name], files) for name, files in gone.items() if name in specs],
            lacking,
        )

    def public_models(self) -> tuple[PublicModel, ...]:
        """Every public name that is served: models first, then bundles, each in the order of the configs."""
        return tuple(self._public.values())

    def unserved(self, name: str) -> ModelNotFound:
        """What is said of a name that is none of the public ones."""
        return ModelNotInstalled.called(name) if name in self._lacking else ModelNotFound.named(name)

    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        """The model that `name` means for `task`, and what it costs by that name. Raises ModelNotFound."""
        public = self._public.get(name)
        if public is None:
            raise self.unserved(name)
        if task not in public.tasks:
            having = tuple(other.id for other in self.public_models() if task in other.tasks)
            error = ModelNotInstalled.called if task in self._lacking.get(name, ()) else ModelNotFound.named
            raise error(name, task, having)
        return public.tasks[task], public.prices[task]


def check_configs(configs_dir: Path) -> Configs:
    """Check every config, the examples included, without asking for weights. Raises CatalogError.

    Configs are held against each other as a start does it. Examples are held against each other, and then against the
    configs: one that was copied to be served has the name of its copy.
    """
    problems: list[Problem] = []
    served = collect_configs([configs_dir], problems)
    checked = _checked(served, served, problems)
    examples = configs_dir / EXAMPLES
    if examples.is_dir():
        read = collect_configs([examples], problems)
        more = _checked(read, Configs(served.models + read.models, read.bundles), problems)
        checked = Configs(checked.models + more.models, checked.bundles + more.bundles)
    if problems:
        raise CatalogError(problems)
    return checked


def checked_configs(folders: Sequence[Path]) -> Configs:
    """Read the configs and hold them against each other: names, bundles' models, templates. Raises CatalogError."""
    problems: list[Problem] = []
    configs = collect_configs(folders, problems)
    checked = _checked(configs, configs, problems)
    if problems:
        raise CatalogError(problems)
    return checked


def _checked(configs: Configs, known: Configs, problems: list[Problem]) -> Configs:
    """known: the configs, and others whose models they may name; of two of one name, the later is meant.

    Where a document could not be read, what is missing may be in it: then nothing is said of that.
    """
    problems += _duplicates(configs)
    if not problems:
        problems += [*_lost_models(configs, known), *_lost_senses(configs, known)]
    return Configs(tuple(Configured(_beside(one, problems), one.source) for one in configs.models), configs.bundles)


def _without_files(
    only: Sequence[str], drafts: Sequence[Draft], behind: Mapping[str, ModelSpec], gone: Mapping[str, tuple[Path, ...]]
) -> list[Problem]:
    """What to say of names that were asked for, and of which nothing can be served."""
    problems = []
    for draft in drafts:
        if draft.id in only:
            names = dict.fromkeys(draft.tasks.values())
            told = " and ".join(f"{name}, which {not_installed(behind[name], gone[name])}" for name in names)
            files = gone[next(iter(names))]
            problems.append(Problem(files[0], 0, "SAGEHOLD_MODELS", f"{draft.id!r} is served by {told}"))
    return problems


def not_installed(spec: ModelSpec, files: Sequence[Path]) -> str:
    """What to say of a model without its files."""
    how = f"bring it by: {spec.fetch}" if spec.fetch else "its config names no command (`fetch`) that brings it"
    return f"is not installed: there is no {', no '.join(map(str, files))}; {how}"


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
        for number, adapter in enumerate(adapters_of(one.spec)):
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


def _lost_models(configs: Configs, known: Configs) -> list[Problem]:
    """A bundle's tasks must name models that are configured and do that task."""
    specs = models_behind(known)
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


def _lost_senses(configs: Configs, known: Configs) -> list[Problem]:
    """What hears and speaks for a chat model must be configured, and do that."""
    specs = {one.spec.name: one.spec for one in known.models}
    problems = []
    for one in configs.models:
        for field, task in SENSES.items():
            name = getattr(one.spec, field, None)
            if name is not None and (name not in specs or task not in specs[name].tasks):
                able = ", ".join(other for other, spec in specs.items() if task in spec.tasks)
                message = f"there is no {task} model {name!r}; models for {task}: {able or 'none'}"
                problems.append(one.source.problem(message, field))
    return problems
