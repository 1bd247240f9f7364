"""Whether the libraries that an environment's extensions link and open can be found."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatch

from scripts.libraries.elf import Library
from scripts.libraries.known import LOADED, OPTIONAL_FILES, SYSTEM, TRIED, optional

TORCH = "torch/lib/"
"""What torch's own libraries are and link is in the process once torch is imported, and is then found by its name."""


def problems(libraries: Iterable[Library], loaded: Collection[str] = ()) -> list[str]:
    """What can't be found, a line each. `loaded`: names that the server loads itself before they are opened."""
    libraries = list(libraries)
    names = {name for library in libraries for name in _names(library)}
    places = {(library.path.parent, name) for library in libraries for name in _names(library)}
    torch = [library for library in libraries if library.path.as_posix().startswith(TORCH)]
    there = SYSTEM | set(LOADED) | set(loaded) | {name for library in torch for name in library.links | _names(library)}
    gpu = any(name.startswith("libcudart.so") for name in names)
    lines = []
    for library in libraries:
        path = library.path.as_posix()
        if any(fnmatch(path, pattern) for pattern in OPTIONAL_FILES):
            continue
        near = {library.path.parent, *library.places}
        tried = {name for start, name in TRIED if path.startswith(start)}
        for verb, wanted in (("links", library.links), ("opens", library.opens - _names(library) - tried)):
            for name in sorted(wanted - there):
                if any((place, name) in places for place in near):
                    continue
                if name in names:
                    lines.append(f"{path} {verb} {name}, which lies where it does not look, and nobody loads it before")
                elif verb == "links" or not optional(name, gpu=gpu):
                    lines.append(f"{path} {verb} {name}, which is neither in the environment nor a system's")
    return lines


def _names(library: Library) -> frozenset[str]:
    return frozenset((library.soname, library.path.name))
