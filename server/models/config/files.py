"""Reading `model_configs/*.yaml` into specs, and telling what is wrong with file, line, field and allowed values.

One YAML document describes one model, or one bundle when it has the key `bundle`; a file may hold several documents.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from server.models.config.hints import Loc, of_unknown
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


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in the configs. `field` is dotted, empty when the whole document is meant.

    line: 0 where no file is meant, and `field` names a setting.
    """

    file: Path
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}{self.message}" if self.line else f"{field}{self.message}"


class CatalogError(Exception):
    """The model configs are wrong. Tells all problems at once, a line each; written for the operator."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as read: plain data, and the line on which each of its fields stands."""

    file: Path
    data: Any
    lines: Mapping[Loc, int]

    def line(self, *loc: str | int) -> int:
        """The line of a field, or of the nearest field around it that is written down."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def problem(self, message: str, *loc: str | int) -> Problem:
        return Problem(self.file, self.line(*loc), ".".join(map(str, loc)), message)


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
        if not folder.is_dir():
            problems.append(Problem(folder, 1, "", "there is no such folder of model configs"))
        for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            try:
                documents = list(_documents(file, problems))
            except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
                problems.append(_unreadable(file, error))
                continue
            for document in documents:
                match _parse(document, problems):
                    case Bundle() as bundle:
                        bundles.append(Configured(bundle, document))
                    case ModelBase() as model:
                        models.append(Configured(model, document))
    return Configs(tuple(models), tuple(bundles))


# ---------------------------------------------------------------- YAML with its lines


def _documents(file: Path, problems: list[Problem]) -> Iterator[Document]:
    text = file.read_text(encoding="utf-8")
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            lines: dict[Loc, int] = {}
            _walk(node, (), lines, file, problems)
            lines[()] = node.start_mark.line + 1
            data = loader.construct_document(node)
            if data is not None:
                yield Document(file, data, lines)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, at: Loc, lines: dict[Loc, int], file: Path, problems: list[Problem]) -> None:
    """Note the line of every field, and refuse keys that stand twice (YAML readers keep the last, silently)."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                message = f"stands twice, on line {lines[here]} and here"
                problems.append(Problem(file, line, ".".join(map(str, here)), message))
            lines[here] = line
            _walk(value, here, lines, file, problems)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[(*at, number)] = value.start_mark.line + 1
            _walk(value, (*at, number), lines, file, problems)


def _unreadable(file: Path, error: Exception) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return Problem(file, error.problem_mark.line + 1, "", f"not valid YAML: {error.problem}")
    if isinstance(error, OSError):
        return Problem(file, 1, "", f"cannot be read: {error.strerror}")
    return Problem(file, 1, "", "not valid YAML: it must be UTF-8 text")


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
