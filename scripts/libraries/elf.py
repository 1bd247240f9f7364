"""What compiled extensions link and open, read from their files: nothing is loaded, so no GPU or driver is needed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

_LIBRARY = re.compile(r"\.so(\.\w+)*$")
_NAME = re.compile(rb"(?<=\x00)(?:/[\x21-\x7e]*/)?(lib[A-Za-z0-9_+-]+\.so(?:\.[0-9]+)+)(?=\x00)")
"""A versioned library's name in a constant. Names without a version are tried besides, for development."""
_CONSTANTS = (".rodata", ".data.rel.ro", ".data")


@dataclass(frozen=True, slots=True)
class Library:
    """A shared library. path: below the folder that was read; soname: the name that it is found by once it is loaded.

    links: what the loader must find before it (DT_NEEDED). opens: names of libraries that it may open while it runs,
    if it opens any. places: the folders that it looks in, below the folder that was read (RPATH, RUNPATH by $ORIGIN).
    """

    path: Path
    soname: str
    links: frozenset[str]
    opens: frozenset[str]
    places: frozenset[Path]


def read_folder(folder: Path) -> Iterator[Library]:
    """Every shared library below a folder that is made for x86-64."""
    for path in sorted(folder.rglob("*.so*")):
        if _LIBRARY.search(path.name) and path.is_file() and not path.is_symlink():
            library = read(path, folder)
            if library is not None:
                yield library


def read(path: Path, root: Path) -> Library | None:
    """One file; None: it is no shared library for x86-64."""
    links, opens, places = set(), set(), set()
    soname = path.name
    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
        except ELFError:
            return None
        dynamic = elf.get_section_by_name(".dynamic")
        if elf["e_machine"] != "EM_X86_64" or dynamic is None:
            return None
        for tag in dynamic.iter_tags():
            if tag.entry.d_tag == "DT_NEEDED":
                links.add(tag.needed)
            elif tag.entry.d_tag == "DT_SONAME":
                soname = tag.soname
            elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                places |= _places(tag.rpath if tag.entry.d_tag == "DT_RPATH" else tag.runpath, path, root)
        strings = elf.get_section_by_name(".dynstr")
        if strings is not None and b"\0dlopen\0" in strings.data():
            for section in elf.iter_sections():
                if section.name.startswith(_CONSTANTS) and section["sh_type"] != "SHT_NOBITS":
                    opens |= {match[1].decode() for match in _NAME.finditer(b"\0" + section.data())}
    return Library(path.relative_to(root), soname, frozenset(links), frozenset(opens - links), frozenset(places))


def _places(rpath: str, path: Path, root: Path) -> set[Path]:
    found = set()
    for entry in rpath.split(":"):
        place = Path(entry.replace("$ORIGIN", str(path.parent)).replace("${ORIGIN}", str(path.parent))).resolve()
        if place.is_relative_to(root.resolve()):
            found.add(place.relative_to(root.resolve()))
    return found
