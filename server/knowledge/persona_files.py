"""Personas that an operator writes as YAML: one document each, several in a file if need be."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from server.knowledge.records import Persona
from server.settings import PREFIX, SettingsError
from server.yaml_files import Document, Problem, documents_of

MOST_ID = 2**31 - 1
NAME = 100
DESCRIPTION = 1000
PROMPT = 20_000
"""Most characters of each."""


class PersonaFields(BaseModel):
    """What a persona is made of, and what each part may be. prompt: empty for a model that speaks as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[StrictInt, Field(ge=1, le=MOST_ID)]
    name: Annotated[StrictStr, Field(min_length=1, max_length=NAME)]
    description: Annotated[StrictStr, Field(max_length=DESCRIPTION)] = ""
    prompt: Annotated[StrictStr, Field(max_length=PROMPT)]
    version: Annotated[StrictInt, Field(ge=1, le=MOST_ID)] = 1

    @field_validator("name")
    @classmethod
    def _a_line(cls, value: str) -> str:
        if not value.isprintable() or not value.strip() or value.strip().isdecimal():
            raise ValueError("a name is printable, on one line, and no number")
        return value.strip()

    @field_validator("description", "prompt")
    @classmethod
    def _text(cls, value: str) -> str:
        if any(not (sign.isprintable() or sign in "\n\t") for sign in value):
            raise ValueError("only printable characters, line ends and tabs")
        return value.strip()


def read_personas(folder: Path) -> Mapping[int, Persona]:
    """By number. Raises SettingsError: a line for each thing that is wrong, with its file, line and field."""
    problems: list[Problem] = []
    found: dict[int, tuple[Persona, Document]] = {}
    for document in documents_of(folder.absolute(), problems, f"personas ({PREFIX}PERSONAS)"):
        persona = _parse(document, problems)
        if persona is None:
            continue
        for other, where in found.values():
            for field in ("id", "name"):
                if _same(getattr(other, field), getattr(persona, field)):
                    at = f"{where.file.name}, line {where.line(field)}"
                    problems.append(document.problem(f"is that of another persona already ({at})", field))
        found.setdefault(persona.id, (persona, document))
    if problems:
        raise SettingsError("\n".join(map(str, sorted(set(problems)))))
    return {number: persona for number, (persona, _) in found.items()}


def _same(one: int | str, other: int | str) -> bool:
    return one.casefold() == other.casefold() if isinstance(one, str) and isinstance(other, str) else one == other


def _parse(document: Document, problems: list[Problem]) -> Persona | None:
    if not isinstance(document.data, dict):
        problems.append(document.problem("a document must be a mapping of fields"))
        return None
    try:
        fields = PersonaFields.model_validate(document.data)
    except ValidationError as error:
        problems.extend(document.problem(complaint(detail), *detail["loc"]) for detail in error.errors())
        return None
    return Persona(**fields.model_dump(), origin="file")


def complaint(detail: ErrorDetails) -> str:
    """What is wrong with a field, and what it may be."""
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, PersonaFields.model_fields, n=1)
        hint = f"; did you mean {close[0]}?" if close else ";"
        return f"there is no such field{hint} allowed: {', '.join(PersonaFields.model_fields)}"
    if detail["type"] == "missing":
        return "is missing"
    value: Any = detail["input"]
    shown = f", not {value!r}" if isinstance(value, str | int | float) and len(str(value)) <= NAME else ""
    return detail["msg"].removeprefix("Value error, ") + shown
