"""Reading `model_configs/*.yaml` into specs, and telling what is wrong with file, line, field and allowed values.

One YAML document describes one model, or one bundle when it has the key `bundle`; a file may hold several documents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from server.models.config.hints import of_unknown
from server.models.config.spec import (
    Bundle,
    DiffusersModel,
    EmbedModel,
    FakeModel,
    ModelBase,
    ModelSpec,
    PiperModel,
    VllmModel,
    WhisperModel,
)
from server.models.config.strict import Strict
from server.yaml_files import Document, Problem, documents_of

EXAMPLES = "examples"
"""The folder beside the configs whose files are checked, but not served."""

ENGINES: Mapping[str, type[VllmModel | WhisperModel | PiperModel | DiffusersModel | EmbedModel | FakeModel]] = (
    MappingProxyType(
        {
            "vllm": VllmModel,
            "whisper": WhisperModel,
            "piper": PiperModel,
            "diffusers": DiffusersModel,
            "embed": EmbedModel,
            "fake": FakeModel,
        }
    )
)


class CatalogError(Exception):
    """The model configs are wrong. Tells all problems at once, a line each; written for the operator."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Configured(Generic[T]):
    """A spec and the document it came from, for later complaints."""

    spec: T
    source: Document


@dataclass(frozen=True, slots=True)
class Configs:
    """All that a folder configures, each valid in itself."""

    models: tuple[Configured[ModelSpec], ...]
    bundles: tuple[Configured[Bundle], ...]


def read_configs(folders: Sequence[Path]) -> Configs:
    """Read every `*.yaml` of the folders, in the order of their names. Raises CatalogError."""
    problems: list[Problem] = []
    configs = collect_configs(folders, problems)
    if problems:
        raise CatalogError(problems)
    return configs


def collect_configs(folders: Sequence[Path], problems: list[Problem]) -> Configs:
    """As `read_configs`, but what is wrong is added to `problems`, and the rest is what could be read."""
    models: list[Configured[ModelSpec]] = []
    bundles: list[Configured[Bundle]] = []
    for folder in map(Path.absolute, folders):  # what is wrong is told to whoever stands in another folder, too
        for document in documents_of(folder, problems, "model configs"):
            match _parse(document, problems):
                case Bundle() as bundle:
                    bundles.append(Configured(bundle, document))
                case ModelBase() as model:
                    models.append(Configured(model, document))
    return Configs(tuple(models), tuple(bundles))


# ---------------------------------------------------------------- one document


def _parse(document: Document, problems: list[Problem]) -> ModelSpec | Bundle | None:
    data = document.data
    if not isinstance(data, dict):
        problems.append(document.problem("a document must be a mapping of fields"))
        return None
    schema: type[ModelSpec | Bundle]
    if "bundle" in data:
        schema = Bundle
    else:
        engine = data.get("engine")
        if not isinstance(engine, str) or engine not in ENGINES:
            found = "is missing" if engine is None else f"is {engine!r}"
            message = f"{found}; allowed: {', '.join(ENGINES)}; or use `bundle` for a bundle of names"
            problems.append(document.problem(message, "engine"))
            return None
        schema = ENGINES[engine]
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        problems.extend(_complaint(document, detail, schema) for detail in error.errors())
        return None


def _complaint(document: Document, detail: ErrorDetails, schema: type[Strict]) -> Problem:
    loc = detail["loc"]
    if detail["type"] == "extra_forbidden":
        message = of_unknown(loc, schema, ENGINES)
    elif detail["type"] == "missing":
        message = "is missing"
    else:
        value = detail["input"]
        shown = f", not {value!r}" if isinstance(value, str | int | float) else ""
        message = detail["msg"].removeprefix("Value error, ") + shown
    return document.problem(message, *loc)
