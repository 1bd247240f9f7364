"""Reading an operator's YAML files, and telling what is wrong with file, line and field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Loc = tuple[str | int, ...]


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


def documents_of(folder: Path, problems: list[Problem], what: str) -> Iterator[Document]:
    """Those of every `*.yaml` and `*.yml` of a folder, in the order of the files' names. what: is meant to be in it."""
    if not folder.is_dir():
        problems.append(Problem(folder, 1, "", f"there is no such folder of {what}"))
    for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        try:
            found = list(_documents(file, problems))
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            problems.append(_unreadable(file, error))
            continue
        yield from found


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
