"""Whether what a lock pins can be installed: a wheel for each Python whose hash stands in the lock."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from scripts.locks.index import File
from scripts.locks.pins import Pin
from scripts.locks.targets import Target


def problems(pins: Iterable[Pin], targets: Iterable[Target], index: Mapping[str, Sequence[File]]) -> list[str]:
    """What is wrong, a line each. `index`: the files of each package by name; a name that is not in it is skipped."""
    targets = list(targets)
    return [
        f"{pin} for {target}: {reason}"
        for pin in pins
        if pin.name in index
        for target in targets
        if target.wants(pin.marker) and (reason := _reason(pin, target, index[pin.name]))
    ]


def one_hash_one_version(locks: Mapping[str, Sequence[Pin]]) -> list[str]:
    """Hashes that stand under two versions, a line each: a file has one. Needs no index."""
    owners: dict[str, set[str]] = {}
    places: dict[str, set[str]] = {}
    for lock, pins in locks.items():
        for pin in pins:
            for sha256 in pin.hashes:
                owners.setdefault(sha256, set()).add(str(pin))
                places.setdefault(sha256, set()).add(lock)
    return [
        f"{' and '.join(sorted(pins))} have the hash {sha256[:12]}… in common ({', '.join(sorted(places[sha256]))})"
        for sha256, pins in owners.items()
        if len(pins) > 1
    ]


def _reason(pin: Pin, target: Target, files: Sequence[File]) -> str | None:
    """Why the pin can't be installed; None: it can."""
    if not files:
        return "the index does not know the package"
    wheels = [file for file in files if _fits(file, pin, target)]
    if not wheels:
        return "the index has no wheel of this version for it"
    if any(file.sha256 in pin.hashes for file in wheels):
        return None
    if all(file.sha256 is None for file in wheels):
        return "the index gives no SHA-256 of its wheels"
    known = {file.sha256: file.name for file in files}
    others = sorted(known[sha256] for sha256 in pin.hashes if sha256 in known)
    instead = f"the hashes in the lock are those of {', '.join(others)}" if others else "no file there has its hashes"
    return f"the hash of {wheels[0].name} on the index is not in the lock; {instead}"


def _fits(file: File, pin: Pin, target: Target) -> bool:
    version, tags = _wheel(file.name)
    return version == pin.version and not target.tags.isdisjoint(tags) and _allows(file.requires_python, target)


@cache
def _wheel(name: str) -> tuple[Version | None, frozenset[Tag]]:
    """A wheel's version and tags by its name; (None, …): it is no wheel."""
    try:
        _, version, _, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return None, frozenset()
    return version, tags


def _allows(requires_python: str | None, target: Target) -> bool:
    if requires_python is None:
        return True
    try:
        # Of a Python 3.11 nobody installs the first: a package that wants 3.11.4 can be had.
        return SpecifierSet(requires_python).contains(Version(f"3.{target.minor}.99"))
    except InvalidSpecifier:
        return True
